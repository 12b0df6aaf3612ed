import { InvalidOptionError } from '@holdfast/foundation';
import type { ObjectPage, ListedObject } from '../backend.ts';
import { compareKeys } from '../object/key.ts';
import type { KeyWrites } from '../replication/key-replica.ts';

/** Where a listing continues: at which backend, from which of its cursors, after which key. */
interface ListCursor {
  readonly from: string;
  readonly cursor: string;
  readonly after: string;
}

export function encodeCursor(cursor: ListCursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

/** @throws InvalidOptionError unless an earlier listing returned it. */
export function decodeCursor(given: string): ListCursor {
  try {
    const value: unknown = JSON.parse(Buffer.from(given, 'base64url').toString());
    if (isCursor(value)) return value;
  } catch {
    // Throws below.
  }
  throw new InvalidOptionError('list', 'cursor', given, 'the cursor of an earlier listing');
}

/**
 * A page with the pending writes applied, within the keys of the page: after `after`, and up to its last key
 * unless it is the last page.
 * @param isMissing whether the backend of the page lacks the newest write of a key.
 */
export function withPending(
  page: ObjectPage,
  range: { readonly prefix: string; readonly after: string | undefined },
  pending: Iterable<KeyWrites>,
  isMissing: (writes: KeyWrites) => boolean,
): ListedObject[] {
  const objects = new Map(page.objects.map((object) => [object.key, object]));
  const until = page.cursor === undefined ? undefined : page.objects.at(-1)?.key;
  for (const writes of pending) {
    const { key, newest } = writes;
    if (!key.startsWith(range.prefix) || !isMissing(writes)) continue;
    if (range.after !== undefined && compareKeys(key, range.after) <= 0) continue;
    if (until !== undefined && compareKeys(key, until) > 0) continue;
    const { size, acceptedAtEpochMs } = newest;
    if (newest.kind === 'remove') objects.delete(key);
    else objects.set(key, { key, size, lastModifiedEpochMs: acceptedAtEpochMs });
  }
  return [...objects.values()].toSorted((left, right) => compareKeys(left.key, right.key));
}

function isCursor(value: unknown): value is ListCursor {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['from', 'cursor', 'after'].every((name) => typeof Reflect.get(value, name) === 'string')
  );
}
