import { expect } from '@jest/globals';
import { nextEvent, seededRandom } from '@holdfast/foundation';
import { openReplicatedPostgresFixture, untilTrue } from '../../src/database/postgres-fixture.ts';
import { openSynchronous, runPromotion } from '../../src/database/promotion.ts';
import { scenario, withinMsOf } from '../../src/database/scenario.ts';

scenario(
  {
    promise: 'after a promotion writes go to the new primary, and the old primary receives none',
    fault:
      'the primary killed, the replica promoted, the old primary restarted as a primary; the service restarted without the new primary',
    inContainers: true,
  },
  openSynchronous,
  runPromotion,
);

const SESSION_READS = Number(process.env['HOLDFAST_SESSION_READS'] ?? 10_000);
const SESSIONS = 10;
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 20_261_122);

scenario(
  {
    promise: 'a session reads its own writes, however far the replica lags behind',
    fault: 'replay paused repeatedly for up to a second; each write read back by its session',
    withinMs: withinMsOf(SESSION_READS, 10),
  },
  openReplicatedPostgresFixture,
  async (fixture) => {
    const { primary, replica } = fixture;
    await fixture.ask('create table counters (id int primary key, value int not null)');
    await fixture.ask(`insert into counters select id, 0 from generate_series(1, ${SESSIONS}) id`);
    const database = fixture.database({
      hosts: [primary.url, replica.url],
      max: 10,
      probeIntervalMs: 100,
    });
    const random = seededRandom(SEED);
    const stopping = new AbortController();
    const disturb = async (): Promise<void> => {
      while (!stopping.signal.aborted) {
        await fixture.ask('select pg_wal_replay_pause()', [], replica);
        await fixture.ask('select pg_sleep($1)', [random()], replica);
        await fixture.ask('select pg_wal_replay_resume()', [], replica);
        await fixture.ask('select pg_sleep(0.2)', [], replica);
      }
    };
    const disturbing = disturb();
    let reads = 0;
    let stale = 0;
    const readersOf = async (id: number): Promise<void> => {
      const session = database.session();
      let written = 0;
      for (let turn = 0; turn < SESSION_READS / SESSIONS; turn += 1) {
        if (turn % 10 === 0) {
          written += 1;
          await session.query('update counters set value = $2 where id = $1', [id, written]);
        }
        const seen = await session.read(async (reader) => {
          const { rows } = await reader.query('select value from counters where id = $1', [id]);
          return Number(rows[0]?.['value']);
        });
        reads += 1;
        if (seen !== written) stale += 1;
      }
    };
    await Promise.all(Array.from({ length: SESSIONS }, (_, index) => readersOf(index + 1)));
    stopping.abort();
    await disturbing;
    const { replicaReads, primaryFallbacks } = database.getStats();
    expect({ seed: SEED, stale }).toEqual({ seed: SEED, stale: 0 });
    // Otherwise the replica was never behind.
    expect(replicaReads).toBeGreaterThan(0);
    expect(primaryFallbacks).toBeGreaterThan(0);
    return {
      accepted: reads,
      delivered: reads - stale,
      seed: SEED,
      note: `${replicaReads} served by the replica, ${primaryFallbacks} by the primary instead`,
    };
  },
);

scenario(
  {
    promise: 'a read with maxLagMs never returns older data',
    fault: 'replay paused, then read with maxLagMs',
    inContainers: true,
  },
  openReplicatedPostgresFixture,
  async (fixture) => {
    const { primary, replica } = fixture;
    await fixture.ask('create table counters (id int primary key, value int not null)');
    await fixture.ask('insert into counters values (1, 1)');
    const database = fixture.database({ hosts: [primary.url, replica.url], probeIntervalMs: 100 });
    const read = (): Promise<number> =>
      database.read({ maxLagMs: 200 }, async (reader) => {
        const { rows } = await reader.query('select value from counters where id = 1');
        return Number(rows[0]?.['value']);
      });
    await untilTrue(async () => (await read()) === 1);
    await fixture.ask('select pg_wal_replay_pause()', [], replica);
    await fixture.ask('update counters set value = 2 where id = 1');
    const behind = nextEvent(database, 'host', { signal: AbortSignal.timeout(1_000) }).catch(
      () => undefined,
    );
    await behind;
    expect(await read()).toBe(2);
    await fixture.ask('select pg_wal_replay_resume()', [], replica);
    return { accepted: 1, delivered: 1 };
  },
);
