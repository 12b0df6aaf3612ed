import { type RedisReply, decodeReply, encodeCommand } from '@holdfast/protocols/redis';
import type { Endpoint } from '../../system/endpoint.ts';
import { oneExchange } from '../../system/exchange.ts';

/** The longest reply that is read, in bytes; INFO stays well below. */
const REPLY_MAX_BYTES = 1_048_576;

/**
 * Sends one command over a connection of its own and resolves with the reply.
 * Rejects with the socket's error, or with the signal's own reason.
 */
export function askRedis(
  endpoint: Endpoint,
  command: readonly string[],
  signal: AbortSignal,
): Promise<RedisReply> {
  let received: Buffer = Buffer.alloc(0);
  const read = (chunk: Buffer): RedisReply | undefined => {
    received = Buffer.concat([received, chunk]);
    if (received.length > REPLY_MAX_BYTES)
      throw new Error(`Redis replied with more than ${REPLY_MAX_BYTES} bytes`);
    return decodeReply(received);
  };
  return oneExchange(endpoint, encodeCommand(command), read, signal);
}
