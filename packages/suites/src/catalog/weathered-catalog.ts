import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Catalog,
  type CatalogAnswer,
  createBackup,
  createCatalog,
  createCatalogClient,
} from '@holdfast/catalog';
import { createPostgresGenerations } from '@holdfast/catalog/postgres';
import { createRedisGenerations, createRedisLock } from '@holdfast/catalog/redis';
import { sleep, systemClock } from '@holdfast/foundation';
import { type EsimGo, type ServerHandle, type StageMode, openStage } from '@holdfast/stage';
import { waitUntil } from '../wait-until.ts';

const ROWS = 300;
const CATALOGS = 2;
const CALL_MS = 500;
/** Between two questions of one client. */
const PAUSE_MS = 2;
const SETTLED_WITHIN_MS = 60_000;

/** What clients saw. */
export interface Sightings {
  readonly answers: number;
  readonly failures: readonly unknown[];
  /** Generations of which two answers differed, or that were not whole. */
  readonly torn: readonly number[];
  /** Generations with other bundles than those before: what a torn answer can be told by. */
  readonly contents: number;
  /** An answer after one of a newer generation, by the same catalog. */
  readonly backwards: number;
}

/** Catalogs of two processes on one API, Redis and Postgres, each of which syncs, asked all the time. */
export interface WeatheredCatalog {
  readonly mode: StageMode;
  readonly esimGo: EsimGo;
  readonly redis: ServerHandle;
  readonly postgres: ServerHandle;
  readonly catalogs: readonly Catalog[];
  /** Asks both catalogs until `work` has ended. */
  whileAsked(work: () => Promise<void>): Promise<Sightings>;
  /** Lets the API have other bundles, and returns when both catalogs serve a generation that was synced from them. */
  untilFresh(): Promise<number>;
  close(): Promise<void>;
}

export async function openWeatheredCatalog(): Promise<WeatheredCatalog> {
  const stage = await openStage({
    esimGo: { rows: ROWS, rateLimit: false, maxPerPage: 100 },
    redis: true,
    postgres: true,
  });
  const { esimGo, redis } = stage;
  const postgres = stage.postgres.primary;
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-catalog-chaos-'));
  const closers: (() => unknown)[] = [];
  const catalogs = Array.from({ length: CATALOGS }, (_, at) => {
    const database = createPostgresGenerations({ url: postgres.url, timeoutMs: CALL_MS });
    const cache = createRedisGenerations({ url: redis.url, timeoutMs: CALL_MS });
    const lock = createRedisLock({ url: redis.url, timeoutMs: CALL_MS });
    const { apiKey, url } = esimGo;
    const client = createCatalogClient({
      apiKey,
      baseUrl: `${url}/v2.5`,
      fetch,
      timeoutMs: CALL_MS,
    });
    const catalog = createCatalog({
      api: client,
      lock,
      directory: join(parent, `pages-${at}`),
      cache,
      database,
      backup: createBackup({ directory: join(parent, `backups-${at}`) }),
      pollEveryMs: 200,
      refreshEveryMs: 500,
    });
    closers.push(
      () => catalog.close(),
      () => client.close(),
      () => lock.close(),
      () => cache.close(),
      () => database.close(),
    );
    return catalog;
  });
  let revision = 0;
  return {
    mode: stage.mode,
    esimGo,
    redis,
    postgres,
    catalogs,
    whileAsked: (work) => askWhile(catalogs, work),
    async untilFresh() {
      revision += 1;
      await esimGo.change({ revision });
      const changedEpochMs = systemClock.epochMs();
      const fromMs = systemClock.now();
      const isFresh = (catalog: Catalog): boolean =>
        (catalog.status().manifest?.syncedAtEpochMs ?? 0) >= changedEpochMs;
      await waitUntil(() => catalogs.every(isFresh), SETTLED_WITHIN_MS);
      return systemClock.now() - fromMs;
    },
    async close() {
      for (const close of closers) await close();
      await stage.close();
      await rm(parent, { recursive: true, force: true });
    },
  };
}

async function askWhile(
  catalogs: readonly Catalog[],
  work: () => Promise<void>,
): Promise<Sightings> {
  const seen = new Map<number, string>();
  const torn = new Set<number>();
  const failures: unknown[] = [];
  const over = new AbortController();
  let [answers, backwards] = [0, 0];
  const ask = async (catalog: Catalog): Promise<void> => {
    let newest = 0;
    while (!over.signal.aborted) {
      try {
        const answer = await catalog.search({ sort: 'name', limit: ROWS, facets: ['group'] });
        answers += 1;
        const { generation } = answer.origin;
        const fingerprint = fingerprintOf(answer);
        if (answer.total !== ROWS || (seen.get(generation) ?? fingerprint) !== fingerprint)
          torn.add(generation);
        seen.set(generation, fingerprint);
        if (generation < newest) backwards += 1;
        newest = generation;
      } catch (error) {
        failures.push(error);
      }
      await sleep(systemClock, PAUSE_MS);
    }
  };
  const asking = catalogs.map((catalog) => ask(catalog));
  try {
    await work();
  } finally {
    over.abort();
    await Promise.all(asking);
  }
  const contents = new Set(seen.values()).size;
  return { answers, failures, torn: [...torn], contents, backwards };
}

/** Of all bundles: of another revision of the API a share of them has other prices. */
function fingerprintOf({ total, rows }: CatalogAnswer): string {
  return JSON.stringify([
    total,
    rows.map(({ name, price, dataAmount }) => [name, price, dataAmount]),
  ]);
}
