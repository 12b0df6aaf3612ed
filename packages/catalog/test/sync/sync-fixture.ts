import { afterEach } from '@jest/globals';
import {
  type Bundle,
  type CatalogClient,
  type CatalogClientOptions,
  type CatalogSync,
  type CatalogSyncOptions,
  IndexBuilder,
  type buildIndex,
  createCatalogClient,
  createCatalogSync,
} from '@holdfast/catalog';
import {
  type EsimGoOptions,
  type EsimGoServer,
  createEsimGoServer,
} from '@holdfast/emulators/esim-go';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import { type MemoryStore, createMemoryStore } from '../memory-store.ts';
import { type MemoryLock, createMemoryLock } from './memory-lock.ts';

export interface SyncFixture {
  readonly server: EsimGoServer;
  readonly client: CatalogClient;
  readonly lock: MemoryLock;
  readonly store: MemoryStore;
  readonly files: MemoryFileSystem;
  readonly sync: CatalogSync;
  /** Of `sync`. */
  readonly options: CatalogSyncOptions;
  restart(options?: Partial<CatalogSyncOptions>): Promise<SyncFixture>;
  /** Pages that the API was asked for, each as often as it was. */
  readonly pagesAsked: () => string[];
  close(): Promise<void>;
}

interface FixtureOptions {
  readonly api?: EsimGoOptions;
  readonly client?: Partial<CatalogClientOptions>;
  readonly sync?: Partial<CatalogSyncOptions>;
}

const opened: SyncFixture[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** Closed after the test. */
export async function open(options: FixtureOptions = {}): Promise<SyncFixture> {
  const fixture = await openSync(options);
  opened.push(fixture);
  return fixture;
}

/** Another process after the first has ended, with its directory; it may have other options. */
export async function reopen(
  fixture: SyncFixture,
  options?: Partial<CatalogSyncOptions>,
): Promise<SyncFixture> {
  opened.splice(opened.indexOf(fixture), 1);
  const next = await fixture.restart(options);
  opened.push(next);
  return next;
}

export function namesOf(bundles: readonly Bundle[] = []): string[] {
  return bundles.map(({ name }) => name).toSorted();
}

/** The API's emulator, a store, a lock, and a directory in memory. */
async function openSync({ api, client, sync }: FixtureOptions): Promise<SyncFixture> {
  const server = await createEsimGoServer({ rateLimit: false, rows: 400, maxPerPage: 50, ...api });
  const deps = {
    server,
    lock: createMemoryLock(),
    store: createMemoryStore(),
    files: createMemoryFileSystem(),
  };
  return openProcess(deps, client, sync);
}

/** Without a thread, whose start takes longer than all else. */
const buildHere: typeof buildIndex = async (batches) => {
  const builder = new IndexBuilder({ maxBytes: 2 ** 28 });
  for await (const bytes of batches) builder.add(JSON.parse(Buffer.from(bytes).toString()));
  return builder.finish();
};

type Deps = Pick<SyncFixture, 'server' | 'lock' | 'store' | 'files'>;

function openProcess(
  deps: Deps,
  clientOptions: Partial<CatalogClientOptions> = {},
  options: Partial<CatalogSyncOptions> = {},
): SyncFixture {
  const { server, lock, store, files } = deps;
  const client = createCatalogClient({
    apiKey: server.apiKey,
    baseUrl: server.baseUrl,
    fetch: (url, init) => fetch(url, init),
    ...clientOptions,
  });
  const directory = '/pages';
  const given: CatalogSyncOptions = {
    client,
    lock,
    directory,
    files,
    stores: [store],
    buildIndex: buildHere,
    ...options,
  };
  const sync = createCatalogSync(given);
  const close = async (): Promise<void> => {
    await sync.close();
    await client.close();
  };
  return {
    ...deps,
    client,
    sync,
    options: given,
    async restart(others = {}) {
      await close();
      return openProcess(deps, clientOptions, { ...options, ...others });
    },
    pagesAsked: () =>
      server
        .requests()
        .filter(({ path }) => path.includes('/catalogue?'))
        .map(({ path }) => path),
    async close() {
      await close();
      await server.close();
    },
  };
}
