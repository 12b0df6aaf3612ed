import { connect } from 'node:net';
import type { Address } from '../server-kind.ts';

/** One answer of a Redis server; of RESP's types, those that single commands of a probe can bring. */
export type RedisReply =
  | { readonly kind: 'value'; readonly value: string | null }
  | { readonly kind: 'error'; readonly text: string };

/** The longest answer that is read, in bytes; INFO stays well below. */
const REPLY_MAX_BYTES = 1_048_576;

/**
 * Sends one command over a connection of its own and resolves with the answer.
 * Protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/ (RESP2, without arrays).
 * Rejects with the socket's error, or with the signal's own reason.
 */
export function askRedis(
  address: Address,
  command: readonly string[],
  signal: AbortSignal,
): Promise<RedisReply> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const socket = connect(address.port, address.host);
    let received = Buffer.alloc(0);
    const settle = (conclude: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      conclude();
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error) => settle(() => reject(error)));
    socket.on('close', () => settle(() => reject(new Error('closed before it answered'))));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      try {
        const reply = decodeReply(received);
        if (reply !== undefined) settle(() => resolve(reply));
      } catch (error) {
        settle(() => reject(error));
      }
    });
    socket.write(encodeCommand(command));
  });
}

/** A command as an array of bulk strings. */
export function encodeCommand(words: readonly string[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join('')}`;
}

/** The answer that `received` begins with, or `undefined` while it is still incomplete. */
export function decodeReply(received: Buffer): RedisReply | undefined {
  if (received.length > REPLY_MAX_BYTES) throw unreadable(`more than ${REPLY_MAX_BYTES} bytes`);
  const lineEnd = received.indexOf('\r\n');
  if (lineEnd === -1) return undefined;
  const type = received.toString('latin1', 0, 1);
  const line = received.toString('utf8', 1, lineEnd);
  switch (type) {
    case '+':
    case ':':
      return { kind: 'value', value: line };
    case '-':
      return { kind: 'error', text: line };
    case '$': {
      const length = Number(line);
      if (length === -1) return { kind: 'value', value: null };
      const start = lineEnd + 2;
      if (received.length < start + length + 2) return undefined;
      return { kind: 'value', value: received.toString('utf8', start, start + length) };
    }
    default:
      throw unreadable(`an answer of type ${JSON.stringify(type)}`);
  }
}

function unreadable(what: string): Error {
  return new Error(`not an answer to a Redis command: ${what}`);
}
