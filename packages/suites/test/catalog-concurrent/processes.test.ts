import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Backup, Catalog } from '@holdfast/catalog';
import { createCatalogClient } from '@holdfast/catalog';
import { nextEvent } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { runCatalogProcess } from '../../src/catalog/catalog-process.ts';
import { catalogScenario } from '../../src/catalog/catalog-scenario.ts';
import { TIER_ROWS, type TiersFixture, openTiersFixture } from '../../src/catalog/tiers.ts';

const WARMERS = 20;
const PROCESSES = 3;
const SYNCS = 3;

let fixture: TiersFixture;
let backupDirectory: string;
let backup: Backup;
let opened: Catalog[] = [];

beforeAll(async () => {
  fixture = await openTiersFixture();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => fixture.close());
beforeEach(() => {
  fixture.renew();
  backupDirectory = fixture.directory();
  backup = fixture.backup(backupDirectory);
});
afterEach(async () => {
  for (const catalog of opened.splice(0)) await catalog.close();
  await fixture.closeTiers();
});

const scenario = (
  promise: string,
  fault: string,
  run: Parameters<typeof catalogScenario>[3],
): void => catalogScenario('catalog-concurrent', () => fixture.mode, { promise, fault }, run);

scenario(
  'of 20 processes that warm an empty cache at once, one asks the API, and all serve its generation',
  'none',
  async () => {
    const gate = Promise.withResolvers<void>();
    const { apiKey, baseUrl } = fixture.api;
    const client = createCatalogClient({
      apiKey,
      baseUrl,
      // No answer comes before all others have seen that the lock is held.
      fetch: async (url, init) => {
        await gate.promise;
        return fetch(url, init);
      },
    });
    const requests = fixture.api.requests().length;
    const locked: Promise<unknown>[] = [];
    for (let warmer = 0; warmer < WARMERS; warmer += 1) {
      const catalog = fixture.catalog(fixture.tiers({ lock: 'redis', backup }), {
        api: client,
        backup,
        deadlines: { apiMs: 60_000, cacheMs: 10_000, databaseMs: 10_000 },
      });
      opened.push(catalog);
      locked.push(nextEvent(catalog, 'sync-failed'));
    }
    const warming = opened.map((catalog) => catalog.search());
    let failed = 0;
    await new Promise<void>((resolve) => {
      for (const event of locked) {
        void event.then(() => {
          failed += 1;
          if (failed === WARMERS - 1) resolve();
        });
      }
    });
    gate.resolve();
    const answers = await Promise.all(warming);
    const seen = new Set(answers.map(({ total, origin }) => `${total} of ${origin.generation}`));
    expect([...seen]).toEqual([`${TIER_ROWS} of ${answers[0]?.origin.generation ?? 0}`]);
    const sources = answers.map(({ origin }) => origin.source).toSorted();
    expect(sources.filter((source) => source === 'api')).toHaveLength(1);
    const asked = fixture.api.requests().slice(requests);
    expect(asked.filter(({ operation }) => operation === 'groups')).toHaveLength(1);
    await client.close();
    return { note: `${asked.length} requests for ${WARMERS} processes` };
  },
);

scenario(
  'processes that sync at the same time publish one after the other, each a newer generation, and no reader goes back',
  'none',
  async () => {
    const prefix = `together_${fixture.prefix()}`;
    const { apiKey, baseUrl } = fixture.api;
    const reports = await Promise.all(
      Array.from({ length: PROCESSES }, () =>
        runCatalogProcess({
          redisUrl: fixture.redis.url,
          postgresUrl: fixture.postgres.url,
          prefix,
          directory: fixture.directory(),
          backupDirectory,
          baseUrl,
          apiKey,
          syncs: SYNCS,
        }),
      ),
    );
    const published = reports.flatMap((report) => report.published);
    const generations = published.map(({ generation }) => generation);
    const inOrder = published.toSorted((a, b) => a.generation - b.generation);
    expect(new Set(generations).size).toBe(PROCESSES * SYNCS);
    expect(inOrder.map(({ token }) => token)).toEqual(
      published.map(({ token }) => token).toSorted((a, b) => a - b),
    );
    expect(reports.map(({ errors, wentBack }) => ({ errors, wentBack }))).toEqual(
      reports.map(() => ({ errors: [], wentBack: 0 })),
    );
    const reader = await backup.open();
    expect(reader.manifest).toMatchObject({
      generation: Math.max(...generations),
      rows: TIER_ROWS,
    });
    await reader.close();
    const waits = reports.reduce((sum, { locked }) => sum + locked, 0);
    return { note: `${published.length} published, the lock was held ${waits} times` };
  },
);
