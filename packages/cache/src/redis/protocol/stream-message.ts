import { keyOf } from './keys.ts';
import type { StreamId } from './stream-id.ts';

const kinds = ['join', 'store', 'set', 'delete', 'tag', 'clear', 'release'] as const;

/** What a process has published: `store` is what it has loaded, `set` what it was given. */
export interface StreamMessage {
  readonly id: StreamId;
  readonly kind: (typeof kinds)[number] | 'unknown';
  readonly node: string;
  /** The key or tag; for `clear` the new epoch. */
  readonly name: string;
}

/** The messages in a reply to XREAD of one stream. */
export function messagesIn(reply: unknown): StreamMessage[] {
  const [stream]: unknown[] = listIn(reply);
  const [, entries] = listIn(stream);
  return listIn(entries).map((entry) => {
    const [id, fields] = listIn(entry);
    const [, kind, , node, , name] = listIn(fields);
    return messageOf(String(id), kind, String(node), String(name));
  });
}

function messageOf(id: string, kind: unknown, node: string, name: string): StreamMessage {
  const known = kinds.find((one) => one === kind) ?? 'unknown';
  if (known === 'clear' || known === 'join' || known === 'unknown') {
    return { id, kind: known, node, name };
  }
  const key = keyOf(name);
  return key === undefined
    ? { id, kind: 'unknown', node, name }
    : { id, kind: known, node, name: key };
}

function listIn(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
