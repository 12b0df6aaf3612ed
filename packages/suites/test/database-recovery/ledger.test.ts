import { expect } from '@jest/globals';
import { seededRandom, sleep, systemClock } from '@holdfast/resilience';
import { keepCalling } from '../../src/database/callers.ts';
import { openGround } from '../../src/database/ground.ts';
import { LEDGER_SQL, LedgerTable, insertEntry } from '../../src/database/ledger-table.ts';
import { scenario } from '../../src/database/scenario.ts';

const KILLS = Number(process.env['HOLDFAST_KILLS'] ?? 25);
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 20_261_122);
const WRITERS = 10;

scenario(
  {
    promise:
      'a write that was acknowledged is there exactly once, however often Postgres is killed',
    fault: `${KILLS} kills at random moments under ${WRITERS} writers`,
  },
  openGround,
  async (ground) => {
    const random = seededRandom(SEED);
    await ground.ask(LEDGER_SQL);
    const database = ground.database({ max: WRITERS, acquireTimeoutMs: 30_000 });
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
    for (let kill = 0; kill < KILLS; kill += 1) {
      await callers.servedSince(systemClock.now());
      await sleep(systemClock, random() * 50);
      await ground.primary.kill();
      await ground.primary.start();
    }
    await callers.servedSince(systemClock.now());
    await callers.stop();
    const audit = await ledger.audit(ground.ask);
    expect({ seed: SEED, ...audit }).toMatchObject({
      seed: SEED,
      lost: [],
      duplicated: [],
      denied: [],
    });
    expect(audit.acknowledged).toBeGreaterThan(KILLS);
    const { replays } = database.getStats();
    return {
      accepted: audit.acknowledged,
      delivered: audit.acknowledged - audit.lost.length,
      duplicated: audit.duplicated.length,
      lastedMs: systemClock.now() - beganMs,
      seed: SEED,
      note: `${KILLS} kills; outcome unknown: ${audit.unknown.written}, of which ${audit.unknown.there} are there; ${replays} replayed`,
    };
  },
);
