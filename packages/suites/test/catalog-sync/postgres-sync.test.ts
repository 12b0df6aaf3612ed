import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type CatalogSyncOptions, createCatalogClient, createCatalogSync } from '@holdfast/catalog';
import { type EsimGoServer, createEsimGoServer } from '@holdfast/emulators/esim-go';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { waitUntil } from '../../src/wait-until.ts';
import { type PostgresCatalog, openPostgresCatalog } from '../../src/catalog/postgres-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';

let catalog: PostgresCatalog;
let server: EsimGoServer;
let directory: string;
const opened: { close(): Promise<unknown> }[] = [];
beforeAll(async () => {
  catalog = await openPostgresCatalog();
  server = await createEsimGoServer({ rateLimit: false, rows: 300, maxPerPage: 50 });
  directory = await mkdtemp(join(tmpdir(), 'catalog-postgres-'));
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close();
  await catalog.reset();
});
afterAll(async () => {
  await server.close();
  await catalog.close();
  await rm(directory, { recursive: true });
});

/** @param before what each call of the API waits for. */
function openSync(
  options: Pick<CatalogSyncOptions, 'lock' | 'stores'>,
  before: () => Promise<void> = async () => undefined,
): ReturnType<typeof createCatalogSync> {
  const { baseUrl, apiKey } = server;
  const client = createCatalogClient({
    baseUrl,
    apiKey,
    maxInFlight: 1,
    async fetch(url, init) {
      await before();
      return fetch(url, init);
    },
  });
  const sync = createCatalogSync({
    client,
    directory: join(directory, catalog.prefix),
    ...options,
  });
  opened.push(client, sync);
  return sync;
}

test('a sync publishes the same generation in Postgres and through PostgREST, under a lock in Postgres', async () => {
  const [direct, rest] = [await catalog.store('COPY'), await catalog.store('PostgREST')];
  const sync = openSync({ lock: catalog.lock(), stores: [direct, rest] });
  for (const generation of [1, 2]) {
    const { manifest, index, published, failed } = await sync.run();
    index.close();
    expect(failed).toStrictEqual([]);
    expect(published).toStrictEqual(['postgres', 'supabase']);
    expect(manifest).toMatchObject({ generation, rows: 300 });
    const read = await readGeneration(direct);
    expect(read.bundles).toHaveLength(300);
    expect(await readGeneration(rest)).toStrictEqual(read);
  }
  const lease = await catalog.lock().acquire();
  await lease.release();
});

test('a sync that has lost its lock in Postgres publishes nothing', async () => {
  const store = await catalog.store('COPY');
  const inner = catalog.lock({ leaseMs: 300 });
  let signal: AbortSignal | undefined;
  const lock: CatalogSyncOptions['lock'] = {
    name: inner.name,
    close: () => inner.close(),
    async acquire(options) {
      const lease = await inner.acquire(options);
      ({ signal } = lease);
      return lease;
    },
  };
  const sync = openSync({ lock, stores: [store] }, async () => {
    await catalog.ask(
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted`,
    );
    await waitUntil(() => signal?.aborted === true);
  });
  await expect(sync.run()).rejects.toMatchObject({ code: 'CATALOG_LOCK_LOST' });
  expect(await store.current()).toBeUndefined();
});
