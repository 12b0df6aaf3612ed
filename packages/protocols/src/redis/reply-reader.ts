import { ProtocolError } from '../protocol-error.ts';

/** One reply of a server (RESP2). */
export type RedisReply =
  | { readonly kind: 'value'; readonly value: string | null }
  | { readonly kind: 'list'; readonly items: readonly RedisReply[] }
  | { readonly kind: 'error'; readonly text: string };

/** Returns the reply that `received` begins with, or `undefined` while it is incomplete. @throws ProtocolError */
export function decodeReply(received: Buffer): RedisReply | undefined {
  return replyAt(received, 0)?.reply;
}

/** Returns the reply that begins at `at`, and the offset behind it. */
function replyAt(received: Buffer, at: number): { reply: RedisReply; end: number } | undefined {
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
      const value = received.toString('utf8', start, end);
      return { reply: { kind: 'value', value }, end: end + 2 };
    }
    case '*': {
      const items: RedisReply[] = [];
      let end = start;
      // Old versions send the null array as length -1; it is read as an empty list.
      for (let left = Number(line); left > 0; left -= 1) {
        const item = replyAt(received, end);
        if (item === undefined) return undefined;
        items.push(item.reply);
        end = item.end;
      }
      return { reply: { kind: 'list', items }, end };
    }
    default:
      throw new ProtocolError('Redis', `a reply of the unknown type ${JSON.stringify(type)}`);
  }
}
