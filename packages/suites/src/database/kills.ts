import { expect } from '@jest/globals';
import { seededRandom, sleep, systemClock, environment } from '@holdfast/foundation';
import { keepCalling } from './callers.ts';
import type { PostgresFixture } from './postgres-fixture.ts';
import { LEDGER_SQL, LedgerTable, insertEntry } from './ledger-table.ts';
import type { DatabaseOutcome } from './scenario.ts';

const SEED = Number(environment['HOLDFAST_SEED'] ?? 20_261_122);
export const WRITERS = 10;

/** Kills Postgres repeatedly at random moments; the table has to match the outcome that each writer received. */
export async function runKills(fixture: PostgresFixture, kills: number): Promise<DatabaseOutcome> {
  const random = seededRandom(SEED);
  await fixture.ask(LEDGER_SQL);
  const database = fixture.database({ max: WRITERS, acquireTimeoutMs: 30_000 });
  const ledger = new LedgerTable();
  let writes = 0;
  // Half of them write in a transaction.
  const callers = keepCalling(WRITERS, async () => {
    writes += 1;
    const inTransaction = writes % 2 === 0;
    const ended = await ledger.write((entry) =>
      inTransaction
        ? database.transaction((tx) => insertEntry(tx, entry))
        : insertEntry(database, entry),
    );
    if (ended === 'failed') await sleep(systemClock, random() * 5);
  });
  const beganMs = systemClock.now();
  for (let kill = 0; kill < kills; kill += 1) {
    await callers.servedSince(systemClock.now());
    await sleep(systemClock, random() * 50);
    await fixture.primary.kill();
    await fixture.primary.start();
  }
  await callers.servedSince(systemClock.now());
  await callers.stop();
  const audit = await ledger.audit(fixture.ask);
  expect({ seed: SEED, ...audit }).toMatchObject({
    seed: SEED,
    lost: [],
    duplicated: [],
    denied: [],
  });
  const { replays } = database.getStats();
  return {
    accepted: audit.acknowledged,
    delivered: audit.acknowledged - audit.lost.length,
    duplicated: audit.duplicated.length,
    lastedMs: systemClock.now() - beganMs,
    seed: SEED,
    note: `${kills} kills; outcome unknown: ${audit.unknown.written}, of which ${audit.unknown.there} are there; ${replays} replayed`,
  };
}
