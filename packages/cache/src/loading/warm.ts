import type { CacheLoad, CacheWarmOptions, CacheWarmResult } from '../cache.ts';
import { type EntryOptions, parseWarmOptions } from './cache-options.ts';

interface WarmDeps<T> {
  isFresh(key: string): boolean;
  load(
    key: string,
    load: CacheLoad<T>,
    options: EntryOptions,
    signal: AbortSignal | undefined,
  ): Promise<unknown>;
}

/** Loads the keys that are not fresh, each once, `concurrency` at a time, until it is said to be too much. */
export async function warmKeys<T>(
  deps: WarmDeps<T>,
  keys: Iterable<string>,
  load: (key: string, signal: AbortSignal) => T | PromiseLike<T>,
  options: CacheWarmOptions | undefined,
): Promise<CacheWarmResult> {
  const { concurrency, isOverloaded, signal, ...entryOptions } = parseWarmOptions(options);
  const pending = [...new Set(keys)];
  const failed: { key: string; error: unknown }[] = [];
  let loaded = 0;
  let skipped = 0;
  let next = 0;
  let isOver = false;
  const work = async (): Promise<void> => {
    while (next < pending.length) {
      signal?.throwIfAborted();
      isOver ||= isOverloaded();
      const key = pending[next];
      if (isOver || key === undefined) return;
      next += 1;
      if (deps.isFresh(key)) {
        skipped += 1;
        continue;
      }
      try {
        await deps.load(key, (limited) => load(key, limited), entryOptions, signal);
        loaded += 1;
      } catch (error) {
        signal?.throwIfAborted();
        failed.push({ key, error });
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return { loaded, skipped, failed, left: pending.length - next };
}
