/**
 * A process with a small heap that syncs again and again while other work has filled most of it, and is searched all the
 * time. `--expose-gc`. It tells what it found as one line of JSON.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { createBackup, createCatalog, createCatalogClient } from '@holdfast/catalog';
import { createEsimGoServer } from '@holdfast/emulators/esim-go';
import { loneLock } from './lone-lock.ts';

export interface SmallHeapOptions {
  readonly directory: string;
  readonly rows: number;
  readonly syncs: number;
  /** What other work holds of the heap. */
  readonly heldBytes: number;
}

export interface SmallHeapReport {
  /** Used after a collection: after the first sync, and at the end, when the other work has let go. */
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly searches: number;
  readonly failures: number;
  readonly generation: number;
  readonly rows: number;
}

const options: SmallHeapOptions = JSON.parse(process.argv[2] ?? '{}');
const api = await createEsimGoServer({ rows: options.rows, rateLimit: false, changedShare: 0.5 });
const client = createCatalogClient({ apiKey: api.apiKey, baseUrl: api.baseUrl, fetch });
const catalog = createCatalog({
  api: client,
  lock: loneLock,
  directory: `${options.directory}/pages`,
  backup: createBackup({ directory: `${options.directory}/backups` }),
  refreshEveryMs: 86_400_000,
});

function usedBytes(): number {
  globalThis.gc?.();
  return getHeapStatistics().used_heap_size;
}

await catalog.sync();
const firstBytes = usedBytes();
let ballast: unknown[] = [];
while (getHeapStatistics().used_heap_size < firstBytes + options.heldBytes) {
  ballast.push(Array.from({ length: 1_000 }, (_, at) => ({ at })));
}
const over = new AbortController();
let [searches, failures] = [0, 0];
const searching = (async (): Promise<void> => {
  while (!over.signal.aborted) {
    await catalog.search({ text: 'data', limit: 50 }).catch(() => (failures += 1));
    searches += 1;
    await nextTurn();
  }
})();
for (let revision = 1; revision < options.syncs; revision += 1) {
  api.change({ revision });
  await catalog.sync();
}
over.abort();
await searching;
ballast = [];
const { manifest } = catalog.status();
const report: SmallHeapReport = {
  firstBytes,
  lastBytes: usedBytes(),
  searches,
  failures,
  generation: manifest?.generation ?? 0,
  rows: manifest?.rows ?? 0,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
await catalog.close();
await client.close();
await api.close();
