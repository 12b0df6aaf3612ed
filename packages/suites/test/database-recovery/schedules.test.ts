import { expect } from '@jest/globals';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { Punctuality } from '../../src/database/punctuality.ts';
import { scenario, withinMsOf } from '../../src/database/scenario.ts';
import { runSchedule } from '../../src/database/schedules.ts';

const SCHEDULES = Number(process.env['HOLDFAST_SCHEDULES'] ?? 1_000);
const FIRST_SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);
/** Each fourth meets a real Postgres; the others one that is scripted, which needs no process for each link. */
const REAL_EVERY = 4;
const AT_ONCE = 12;

scenario(
  {
    promise: 'no call is left pending past its deadline, whatever the network does',
    fault: `${SCHEDULES} random schedules of every fault of the proxy`,
    withinMs: withinMsOf(SCHEDULES, 100),
  },
  openPostgresFixture,
  async (ground) => {
    const scripted = await createFakePostgres({
      script: [
        ['select 42 as answer', { rows: [{ answer: 42 }] }],
        [/^select/, { rows: [{ one: 1 }] }],
      ],
    });
    const punctuality = new Punctuality();
    let played = 0;
    let served = 0;
    const playMany = async (): Promise<void> => {
      while (played < SCHEDULES) {
        const seed = FIRST_SEED + played;
        played += 1;
        const upstream = seed % REAL_EVERY === 0 ? ground.primary : scripted;
        const calls = await runSchedule(ground, upstream, seed, punctuality);
        served += calls;
        expect({ seed, late: punctuality.guilty() }).toEqual({ seed, late: [] });
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, playMany));
    } finally {
      await scripted.close();
    }
    // Otherwise nothing was served, or nothing went wrong.
    expect(served).toBeGreaterThan(SCHEDULES);
    expect(served).toBeLessThan(punctuality.calls);
    const latest = [punctuality.latestMs(), punctuality.furthestBehindMs()].map(Math.round);
    return {
      accepted: played,
      delivered: played,
      seed: FIRST_SEED,
      note: `${punctuality.calls} calls (${served} served); the latest ${latest[0]} ms after its deadline and ${latest[1]} ms after a plain timer for it; none that the process was free to end sooner`,
    };
  },
);
