import { isDeepStrictEqual } from 'node:util';
import type { CacheVerification } from '../cache.ts';
import { release } from '../memory/holding.ts';
import type { EntryOptions } from './cache-options.ts';
import type { RecordStore } from './record-store.ts';

/** Compares an entry with what the source has, and stores that if they differ and nobody stored anything meanwhile. */
export async function verifyEntry<T>(
  records: RecordStore<T>,
  key: string,
  options: EntryOptions,
  ask: () => Promise<T>,
): Promise<CacheVerification['kind']> {
  const before = records.peek(key);
  if (before?.kind !== 'value') return 'absent';
  const madeAt = records.tags.now;
  const value = await ask();
  if (records.peek(key) !== before) return 'changed';
  if (isDeepStrictEqual(release(before.held), value)) return 'consistent';
  const tags = options.tags.length === 0 ? before.tags : options.tags;
  records.store(key, value, { ...options, tags, madeAt, loadMs: before.loadMs });
  return 'drifted';
}
