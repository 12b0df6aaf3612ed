import { InvalidOptionError } from '@holdfast/foundation';
import type { ListPage, ListedObject } from '../backend.ts';
import type { KeyWrites } from '../replication/key-replica.ts';

/** Where a listing goes on: with whom, from which of its cursors, behind which key. */
export interface ListCursor {
  readonly from: string;
  readonly cursor: string;
  readonly after: string;
}

export function encodeCursor(cursor: ListCursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

/** @throws InvalidOptionError for what no listing gave. */
export function decodeCursor(given: string): ListCursor {
  try {
    const value: unknown = JSON.parse(Buffer.from(given, 'base64url').toString());
    if (isCursor(value)) return value;
  } catch {
    // Falls through to the refusal below.
  }
  throw new InvalidOptionError('list', 'cursor', given, 'the cursor of an earlier listing');
}

/**
 * A page with what is pending applied, within the keys the page stands for: behind `after`, and up to its
 * last key unless it is the last page.
 * @param isBehind whether the backend that was asked lacks the newest write of a chain.
 */
export function withPending(
  page: ListPage,
  range: { readonly prefix: string; readonly after: string | undefined },
  chains: Iterable<KeyWrites>,
  isBehind: (chain: KeyWrites) => boolean,
): ListedObject[] {
  const objects = new Map(page.objects.map((object) => [object.key, object]));
  const until = page.cursor === undefined ? undefined : page.objects.at(-1)?.key;
  for (const chain of chains) {
    const { key, newest } = chain;
    if (!key.startsWith(range.prefix) || !isBehind(chain)) continue;
    if (range.after !== undefined && inOrder(key, range.after) <= 0) continue;
    if (until !== undefined && inOrder(key, until) > 0) continue;
    const { size, acceptedAtEpochMs } = newest;
    if (newest.kind === 'remove') objects.delete(key);
    else objects.set(key, { key, size, lastModifiedEpochMs: acceptedAtEpochMs });
  }
  return [...objects.values()].toSorted((left, right) => inOrder(left.key, right.key));
}

function inOrder(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

function isCursor(value: unknown): value is ListCursor {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['from', 'cursor', 'after'].every((name) => typeof Reflect.get(value, name) === 'string')
  );
}
