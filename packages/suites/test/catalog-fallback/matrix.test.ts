/**
 * Each cell is a process that starts while its tiers are so: the API, Redis and Postgres are broken themselves, and the
 * backup is another file. It answers from the first tier that is whole, or with one error that says why none is.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type Backup,
  type Catalog,
  CatalogUnavailableError,
  type CatalogClient,
  type Source,
} from '@holdfast/catalog';
import { environment, systemClock } from '@holdfast/foundation';
import { record } from '@holdfast/report';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import type { EsimGoFault } from '@holdfast/emulators/esim-go';
import { cp, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Tiers,
  type TiersFixture,
  TIER_ROWS,
  clientOf,
  openTiersFixture,
} from '../../src/catalog/tiers.ts';

type RedisState = 'ok' | 'out of memory' | 'corrupt' | 'empty' | 'hung' | 'lost';
type BackupState = 'ok' | 'truncated' | 'flipped' | 'missing';
type PostgresState = 'ok' | 'lost';

/** What the API does; in this order, because the last ones publish. */
const apis: Readonly<Record<string, EsimGoFault | undefined>> = {
  'does not answer': { kind: 'silent' },
  'resets connections': { kind: 'reset' },
  'answers 429': { kind: 'status', status: 429, retryAfterS: 30 },
  'answers 500': { kind: 'status', status: 500 },
  'answers 502': { kind: 'status', status: 502 },
  'answers 503': { kind: 'status', status: 503, retryAfterS: 5 },
  'answers 401': { kind: 'status', status: 401 },
  'answers 403': { kind: 'status', status: 403 },
  'answers invalid JSON': { kind: 'malformed', body: 'truncated' },
  'is healthy': undefined,
};

const redisStates: readonly RedisState[] = [
  'ok',
  'out of memory',
  'corrupt',
  'empty',
  'hung',
  'lost',
];
const backups: readonly BackupState[] = ['ok', 'truncated', 'flipped', 'missing'];
/** Every cell with `HOLDFAST_RUNS=all`, otherwise every third, with each state of each tier beside each of the next. */
const EVERY = environment['HOLDFAST_RUNS'] === undefined ? 3 : 1;
/** What a tier that hangs may take, so that all of them answer in 250 ms. */
const HUNG_MS = 60;
/** What no cell may take on any machine. */
const GIVEN_UP_MS = 5_000;

interface Cell {
  readonly api: string;
  readonly redis: RedisState;
  readonly postgres: PostgresState;
  readonly backup: BackupState;
}

let fixture: TiersFixture;
/** Whole, and written last. */
let written: string;
const clients: Partial<Record<string, CatalogClient>> = {};

beforeAll(async () => {
  fixture = await openTiersFixture();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(async () => {
  for (const client of Object.values(clients)) await client?.close();
  await fixture.close();
});

/** One generation in all that is up, before anything is broken. */
async function publish(postgres: PostgresState): Promise<void> {
  fixture.api.setFaults([]);
  written = fixture.directory();
  const tiers = fixture.tiers({
    lock: postgres === 'ok' ? 'postgres' : 'redis',
    databaseMs: 2_000,
  });
  const catalog = fixture.catalog(tiers, { backup: fixture.backup(written) });
  await catalog.sync();
  await catalog.close();
}

async function breakRedis(state: RedisState): Promise<void> {
  const { redis, admin } = fixture;
  if (state === 'out of memory') await admin.config('SET', 'maxmemory', '1');
  if (state === 'hung') await redis.freeze();
  if (state === 'lost') await redis.kill();
}

/** Undone by what the cell before has published. */
async function spoilRedis(state: RedisState): Promise<void> {
  const { admin } = fixture;
  if (state === 'empty') await admin.flushall();
  if (state !== 'corrupt') return;
  for (const key of await admin.keys('*:c:3')) await admin.setrange(key, 40, 'damaged');
}

async function healRedis(): Promise<void> {
  const { redis, admin } = fixture;
  if (redis.state === 'frozen') await redis.thaw();
  if (redis.state === 'stopped') await redis.start();
  await admin.config('SET', 'maxmemory', '0');
}

async function spoiledBackup(state: BackupState): Promise<Backup> {
  const directory = fixture.directory();
  if (state === 'missing') return fixture.backup(directory);
  await cp(written, directory, { recursive: true });
  const name = (await readdir(directory)).find((each) => !each.startsWith('owner')) ?? '';
  const bytes = await readFile(join(directory, name));
  const half = Math.floor(bytes.length / 2);
  if (state === 'truncated') await writeFile(join(directory, name), bytes.subarray(0, half));
  bytes[half] = (bytes[half] ?? 0) ^ 1;
  if (state === 'flipped') await writeFile(join(directory, name), bytes);
  return fixture.backup(directory);
}

/** Redis rebuilds a damaged chunk from what else is whole. */
function isCacheWhole({ redis, postgres, backup }: Cell): boolean {
  if (redis === 'corrupt') return postgres === 'ok' || backup === 'ok';
  return redis === 'ok' || redis === 'out of memory';
}

const lockOf = ({ redis, postgres }: Pick<Cell, 'redis' | 'postgres'>): 'redis' | 'postgres' =>
  postgres === 'lost' && ['ok', 'corrupt', 'empty'].includes(redis) ? 'redis' : 'postgres';

/** The tier that answers; without a lock nobody may sync. */
function expectedOf(cell: Cell): Source | undefined {
  const hasLock = cell.postgres === 'ok' || lockOf(cell) === 'redis';
  if (apis[cell.api] === undefined && hasLock) return 'api';
  if (isCacheWhole(cell)) return 'cache';
  if (cell.postgres === 'ok') return 'database';
  return cell.backup === 'ok' ? 'backup' : undefined;
}

function openTiers({ redis, postgres }: Pick<Cell, 'redis' | 'postgres'>, backup?: Backup): Tiers {
  return fixture.tiers({
    lock: lockOf({ redis, postgres }),
    cacheMs: redis === 'hung' ? 3 * HUNG_MS : 2_000,
    databaseMs: postgres === 'lost' ? 3 * HUNG_MS : 2_000,
    ...(backup === undefined ? {} : { backup }),
  });
}

async function startIn(cell: Cell, tiers: Tiers, backup: Backup): Promise<Catalog> {
  const { api } = fixture;
  const fault = apis[cell.api];
  api.setFaults(fault === undefined ? [] : [{ fault }]);
  const client = (clients[cell.api] ??= clientOf(api));
  const isSlow = ['does not answer', 'answers 429'].includes(cell.api) || cell.redis === 'hung';
  const apiMs = fault === undefined ? GIVEN_UP_MS : isSlow ? HUNG_MS : 1_000;
  const cacheMs = cell.redis === 'hung' ? HUNG_MS : 2_000;
  const databaseMs = cell.postgres === 'lost' ? HUNG_MS : 2_000;
  return fixture.catalog(tiers, {
    api: client,
    backup,
    // Where nothing is anywhere, a sync that has not failed yet is waited for to the end.
    deadlines: { apiMs, cacheMs, databaseMs, totalMs: GIVEN_UP_MS / 2 },
  });
}

const all = (postgres: PostgresState, redis: RedisState): Cell[] =>
  Object.keys(apis).flatMap((api) => backups.map((backup) => ({ api, redis, postgres, backup })));

describe.each(['ok', 'lost'] as const)('Postgres is %s', (postgres) => {
  beforeAll(async () => {
    fixture.renew();
    if (postgres === 'ok') return;
    await publish('ok');
    await fixture.postgres.kill();
  });

  describe.each(redisStates)('Redis is %s', (redis) => {
    let tiers: Tiers;
    const tookMs: number[] = [];
    const offset = redisStates.indexOf(redis);
    beforeAll(async () => {
      await publish(postgres);
      tiers = openTiers({ redis, postgres });
      await breakRedis(redis);
    });
    beforeEach(() => spoilRedis(redis));
    afterAll(async () => {
      await healRedis();
      await fixture.closeTiers();
      const sorted = tookMs.toSorted((a, b) => a - b);
      record({
        family: 'catalog-fallback',
        scenario: `a process that starts with Postgres ${postgres} and Redis ${redis} answers from the first whole tier`,
        fault: `Redis ${redis}, Postgres ${postgres}; API and backup in ${tookMs.length} states`,
        stage: fixture.mode,
        note: `median ${Math.round(sorted[sorted.length >>> 1] ?? 0)} ms, longest ${Math.round(sorted.at(-1) ?? 0)} ms`,
      });
    });

    const cells = all(postgres, redis).filter((_, at) => (at + offset) % EVERY === 0);
    test.each(cells)('the API $api, the backup is $backup', async (cell) => {
      const backup = await spoiledBackup(cell.backup);
      // What has rebuilt a chunk once would have the backup of another cell open.
      const own = redis === 'corrupt' ? openTiers(cell, backup) : tiers;
      const catalog = await startIn(cell, own, backup);
      const startedMs = systemClock.now();
      const seen = await catalog.search().then(
        ({ total, origin }) => ({ total, source: origin.source }),
        (error: unknown) => error,
      );
      const ms = systemClock.now() - startedMs;
      const attempts = catalog.status().attempts.map(({ tier }) => tier);
      await catalog.close();
      const source = expectedOf(cell);
      const none: unknown = expect.any(CatalogUnavailableError);
      expect(seen).toEqual(source === undefined ? none : { total: TIER_ROWS, source });
      const asked: readonly Source[] = ['api', 'cache', 'database', 'backup'];
      expect(attempts).toEqual(asked.slice(0, source === undefined ? 4 : asked.indexOf(source)));
      expect(ms).toBeLessThan(GIVEN_UP_MS);
      if (source !== 'api') tookMs.push(ms);
    });
  });
});
