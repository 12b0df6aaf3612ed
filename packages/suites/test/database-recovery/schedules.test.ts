import { expect } from '@jest/globals';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { DeadlineMonitor } from '../../src/database/deadline-monitor.ts';
import { scenario, withinMsOf } from '../../src/database/scenario.ts';
import { runSchedule } from '../../src/database/schedules.ts';

const SCHEDULES = Number(process.env['HOLDFAST_SCHEDULES'] ?? 200);
const FIRST_SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);
/** Every fourth schedule uses a real Postgres; the others use the emulator, which needs no process per connection. */
const REAL_EVERY = 4;
const AT_ONCE = 12;

scenario(
  {
    promise: 'every call settles by its deadline under any network fault',
    fault: `${SCHEDULES} random schedules of every fault of the proxy`,
    withinMs: withinMsOf(SCHEDULES, 100),
  },
  openPostgresFixture,
  async (fixture) => {
    const scripted = await createFakePostgres({
      script: [
        ['select 42 as answer', { rows: [{ answer: 42 }] }],
        [/^select/, { rows: [{ one: 1 }] }],
      ],
    });
    const punctuality = new DeadlineMonitor();
    let started = 0;
    let served = 0;
    const runSchedules = async (): Promise<void> => {
      while (started < SCHEDULES) {
        const seed = FIRST_SEED + started;
        started += 1;
        const upstream = seed % REAL_EVERY === 0 ? fixture.primary : scripted;
        const calls = await runSchedule(fixture, upstream, seed, punctuality);
        served += calls;
        expect({ seed, late: punctuality.violations() }).toEqual({ seed, late: [] });
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, runSchedules));
    } finally {
      await scripted.close();
    }
    // Otherwise every call failed, or none did.
    expect(served).toBeGreaterThan(SCHEDULES / 10);
    expect(served).toBeLessThan(punctuality.calls);
    const latest = [punctuality.latestMs(), punctuality.furthestBehindMs()].map(Math.round);
    return {
      accepted: started,
      delivered: started,
      seed: FIRST_SEED,
      note: `${punctuality.calls} calls (${served} served); the latest ${latest[0]} ms after its deadline and ${latest[1]} ms after a plain timer for it; none was late while the process was idle`,
    };
  },
);
