/** A leader in a process of its own, which syncs until it is told to end; it may be stopped at any moment. */
import { createRedisGenerations, createRedisLock } from '@holdfast/catalog/redis';
import { propertyOf, sleep, systemClock } from '@holdfast/foundation';
import { catalogBundles, manifestFor } from './redis-catalog.ts';

export interface LeaderOptions {
  readonly url: string;
  readonly prefix: string;
  readonly ttlMs: number;
}

/** What a leader tells: which step it has come to, and how a sync ended. */
export type LeaderReport =
  | { readonly kind: 'leading'; readonly token: number }
  | { readonly kind: 'published'; readonly token: number; readonly generation: number }
  | { readonly kind: 'refused'; readonly token: number; readonly code: unknown };

const ROWS = 200;
const PAUSE_MS = 2;

const options: LeaderOptions = JSON.parse(process.argv[2] ?? '{}');
const report = (message: LeaderReport): void => void process.send?.(message);
const { url, prefix, ttlMs } = options;
const store = createRedisGenerations({ url, prefix, rowsPerChunk: 10, pipelineBytes: 1 });
const lock = createRedisLock({ url, prefix, ttlMs });

async function lead(): Promise<void> {
  const current = await store.current();
  const lease = await lock.acquire({ above: current?.token ?? 0 });
  const { token } = lease;
  report({ kind: 'leading', token });
  try {
    const generation = ((await store.current())?.generation ?? 0) + 1;
    const staged = await store.stage({ generation, token });
    const bundles = catalogBundles(ROWS, generation);
    for (let at = 0; at < ROWS; at += 20) await staged.add(bundles.slice(at, at + 20));
    // Whether it still leads it does not ask: the store has to know.
    await staged.publish(manifestFor(generation, token, ROWS));
    report({ kind: 'published', token, generation });
  } catch (error) {
    report({ kind: 'refused', token, code: propertyOf(error, 'code') });
  } finally {
    await lease.release();
  }
}

const ending = new AbortController();
process.once('message', () => ending.abort());
while (!ending.signal.aborted) {
  // Most often because another leads.
  await lead().catch(() => undefined);
  await sleep(systemClock, PAUSE_MS);
}
await lock.close();
await store.close();
process.disconnect();
