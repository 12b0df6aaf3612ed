import { type RecordTable, byBytes } from './records.ts';

/** A page of a listing: keys, and the prefixes that replace all keys below them. */
interface KeyPage {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
  /** The last key or prefix of the page, when there are more. */
  readonly next: string | undefined;
}

/** The keys of a bucket in a table by `bucket/key`, sorted by bytes. */
export function keysOf(table: RecordTable<unknown>, bucket: string): string[] {
  const scope = `${bucket}/`;
  return table
    .keys()
    .filter((path) => path.startsWith(scope))
    .map((path) => path.slice(scope.length));
}

/**
 * One page of sorted keys. A key with the delimiter after the prefix is listed once as the text up to the
 * delimiter, and counts once.
 * @param after the page starts after this key or prefix.
 */
export function pageOf(
  sorted: readonly string[],
  {
    prefix,
    delimiter,
    after,
    maxKeys,
  }: { prefix: string; delimiter: string; after: string; maxKeys: number },
): KeyPage {
  const keys: string[] = [];
  const prefixes: string[] = [];
  let last: string | undefined;
  if (maxKeys === 0) return { keys, prefixes, next: undefined };
  for (const key of sorted) {
    if (!key.startsWith(prefix)) continue;
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const listed = cut === -1 ? key : key.slice(0, cut + delimiter.length);
    if (listed === last || (after !== '' && byBytes(listed, after) <= 0)) continue;
    if (keys.length + prefixes.length === maxKeys) return { keys, prefixes, next: last };
    if (cut === -1) keys.push(key);
    else prefixes.push(listed);
    last = listed;
  }
  return { keys, prefixes, next: undefined };
}
