import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { type TimelineFence, createFileFence } from '@holdfast/database';
import { systemClock } from '@holdfast/foundation';
import type { ServerHandle } from '@holdfast/stage';
import {
  type ReplicatedPostgresFixture,
  openReplicatedPostgresFixture,
  untilTrue,
} from './postgres-fixture.ts';
import { LEDGER_SQL, LedgerTable, insertEntry } from './ledger-table.ts';
import type { DatabaseOutcome } from './scenario.ts';
import { SERVED_WITHIN_MS } from './outage.ts';

/** The promotion may not lose an acknowledged write, so the replica has to confirm each write first. */
export function openSynchronous(
  options: { readonly version?: number } = {},
): Promise<ReplicatedPostgresFixture> {
  return openReplicatedPostgresFixture({
    ...options,
    settings: { synchronous_standby_names: '*' },
  });
}

/**
 * Kills the primary, promotes its replica, and restarts the old primary as a primary; then restarts the service
 * while the new primary is down.
 */
export async function runPromotion(fixture: ReplicatedPostgresFixture): Promise<DatabaseOutcome> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-fence-'));
  try {
    return await runBetween(fixture, createFileFence(join(folder, 'timeline')));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function runBetween(
  fixture: ReplicatedPostgresFixture,
  fence: TimelineFence,
): Promise<DatabaseOutcome> {
  const { primary, replica } = fixture;
  await fixture.ask(LEDGER_SQL);
  const options = {
    hosts: [primary.url, replica.url],
    max: 5,
    queryTimeoutMs: 2_000,
    probeIntervalMs: 100,
    fence,
  };
  const database = fixture.database(options);
  const ledger = new LedgerTable();
  const write = (): Promise<'done' | 'failed'> =>
    ledger.write((entry) => insertEntry(database, entry));
  for (let round = 0; round < 20; round += 1) await write();
  expect(ledger.acknowledged).toBe(20);
  const killedAtMs = systemClock.now();
  await primary.kill();
  await fixture.promote();
  await standAlone(fixture, replica);
  const promotedAtMs = systemClock.now();
  await untilTrue(async () => (await write()) === 'done');
  const recoveredAfterMs = systemClock.now() - promotedAtMs;
  expect(recoveredAfterMs).toBeLessThan(SERVED_WITHIN_MS);

  await primary.start();
  // A write that it accepted would be visible at once.
  await standAlone(fixture, primary);
  const fenced = database.health().hosts.find(({ host }) => host.endsWith(`:${primary.port}`));
  await untilTrue(async () => {
    await write();
    return database
      .health()
      .hosts.some(({ host, role }) => host === fenced?.host && role === 'fenced');
  });
  for (let round = 0; round < 50; round += 1) await write();

  await database.close();
  await replica.stop();
  const restarted = fixture.database({ ...options, acquireTimeoutMs: 500 });
  const refused = insertEntry(restarted, ledger.next());
  await expect(refused).rejects.toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    outcome: 'not-applied',
  });
  await replica.start();
  await untilTrue(
    async () => (await ledger.write((entry) => insertEntry(restarted, entry))) === 'done',
  );
  const [old] = await fixture.ask('select count(*)::int as count from ledger', [], primary);
  expect(old?.['count']).toBeLessThanOrEqual(20);
  const audit = await ledger.audit((sql) => fixture.ask(sql, [], replica));
  expect(audit).toMatchObject({ duplicated: [], denied: [] });
  return {
    accepted: audit.acknowledged,
    delivered: audit.acknowledged - audit.lost.length,
    duplicated: audit.duplicated.length,
    lastedMs: promotedAtMs - killedAtMs,
    recoveredAfterMs,
    note: `${audit.unknown.written} writes with an unknown outcome, ${Number(old?.['count'])} rows on the old primary`,
  };
}

/** Lets a primary run without a standby. */
async function standAlone(fixture: ReplicatedPostgresFixture, server: ServerHandle): Promise<void> {
  await fixture.ask(`alter system set synchronous_standby_names = ''`, [], server);
  await fixture.ask('select pg_reload_conf()', [], server);
}
