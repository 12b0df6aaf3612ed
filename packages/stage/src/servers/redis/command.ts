import { connect } from 'node:net';
import type { Address } from '../../topology/server-spec.ts';

/** One answer of a Redis server. */
export type RedisReply =
  | { readonly kind: 'value'; readonly value: string | null }
  | { readonly kind: 'list'; readonly items: readonly RedisReply[] }
  | { readonly kind: 'error'; readonly text: string };

/** The longest answer that is read, in bytes; INFO stays well below. */
const REPLY_MAX_BYTES = 1_048_576;

/**
 * Sends one command over a connection of its own and resolves with the answer.
 * Protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/ (RESP2).
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
  return decodeAt(received, 0)?.reply;
}

/** The answer that begins at `at`, and where the next one would begin. */
function decodeAt(received: Buffer, at: number): { reply: RedisReply; end: number } | undefined {
  const lineEnd = received.indexOf('\r\n', at);
  if (lineEnd === -1) return undefined;
  const type = received.toString('latin1', at, at + 1);
  const line = received.toString('utf8', at + 1, lineEnd);
  const start = lineEnd + 2;
  switch (type) {
    case '+':
    case ':':
      return { reply: { kind: 'value', value: line }, end: start };
    case '-':
      return { reply: { kind: 'error', text: line }, end: start };
    case '$': {
      const length = Number(line);
      if (length === -1) return { reply: { kind: 'value', value: null }, end: start };
      const end = start + length;
      if (received.length < end + 2) return undefined;
      return {
        reply: { kind: 'value', value: received.toString('utf8', start, end) },
        end: end + 2,
      };
    }
    case '*': {
      const items: RedisReply[] = [];
      let end = start;
      // A length of -1 is the null that old versions answer with: no items.
      for (let left = Number(line); left > 0; left -= 1) {
        const item = decodeAt(received, end);
        if (item === undefined) return undefined;
        items.push(item.reply);
        end = item.end;
      }
      return { reply: { kind: 'list', items }, end };
    }
    default:
      throw unreadable(`an answer of type ${JSON.stringify(type)}`);
  }
}

function unreadable(what: string): Error {
  return new Error(`not an answer to a Redis command: ${what}`);
}
