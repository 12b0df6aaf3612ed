import { InvalidOptionError } from '@holdfast/foundation';
import type { ObjectPage, ListedObject } from '../backend.ts';
import { compareKeys } from '../object/key.ts';
import type { Operation } from '../journal/operation.ts';
import type { BackendWriter } from '../replication/backend-writer.ts';
import { type KeyWrites, isBehind } from '../replication/key-replica.ts';
import { isMarkKey } from '../replication/removal-marks.ts';

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

/** What an S3 backend has written to find out what its server supports, and could not remove. */
const PROBE_KEY = /\.holdfast-probe-[0-9a-f-]{36}$/;

interface ListRange {
  readonly prefix: string;
  readonly after: string | undefined;
}

/** A write that these backends lack. */
interface MissingWrite {
  readonly key: string;
  readonly newest: Operation;
  readonly writers: readonly BackendWriter[];
}

/** The pending writes of a range of keys, and which backends lack them. */
export function missingIn(
  { prefix, after }: ListRange,
  pending: Iterable<KeyWrites>,
): MissingWrite[] {
  const missing: MissingWrite[] = [];
  for (const writes of pending) {
    const { key, newest, replicas } = writes;
    if (!key.startsWith(prefix) || (after !== undefined && compareKeys(key, after) <= 0)) continue;
    const writers = replicas.map(({ writer }) => writer).filter((one) => isBehind(writes, one));
    if (writers.length > 0) missing.push({ key, newest, writers });
  }
  return missing;
}

/**
 * A page with the pending writes applied, within the keys of the page: up to its last key unless it is the last page.
 * @param writes those that were pending before the backend was asked, then those that are pending now: what is
 *   delivered meanwhile may be missing in the page.
 */
export function withPending(
  page: ObjectPage,
  writer: BackendWriter,
  writes: Iterable<MissingWrite>,
): ListedObject[] {
  const listed = page.objects.filter(({ key }) => !isMarkKey(key) && !PROBE_KEY.test(key));
  const objects = new Map(listed.map((object) => [object.key, object]));
  const until = page.cursor === undefined ? undefined : page.objects.at(-1)?.key;
  for (const { key, newest, writers } of writes) {
    if (!writers.includes(writer)) continue;
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
