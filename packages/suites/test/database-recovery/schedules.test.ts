import { expect } from '@jest/globals';
import type { Database } from '@holdfast/database';
import { playStorm, storm } from '@holdfast/faults';
import { seededRandom, systemClock, withTimeout } from '@holdfast/resilience';
import { openGround } from '../../src/database/ground.ts';
import { Punctuality } from '../../src/database/punctuality.ts';
import { scenario } from '../../src/database/scenario.ts';

const SCHEDULES = Number(process.env['HOLDFAST_SCHEDULES'] ?? 1_000);
/** In CI as many of them as this lets through. */
const BUDGET_MS = Number(process.env['HOLDFAST_SCHEDULES_BUDGET_MS'] ?? 20_000);
const FIRST_SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);
const DURATION_MS = 60;
const AT_ONCE = 12;
const CALLERS = 3;
/** The promise is 50 ms; so many schedules at a time on a busy machine are forgiven more. */
const SLACK_MS = 3_000;
const STEP_MS = 20_000;

scenario(
  {
    promise: 'no call is left pending past its deadline, whatever the network does',
    fault: 'random schedules of every fault of the proxy',
  },
  openGround,
  async (ground) => {
    const punctuality = new Punctuality();
    const deadlineMs = systemClock.now() + BUDGET_MS;
    let played = 0;
    let served = 0;
    let next = FIRST_SEED;

    const playOne = async (seed: number): Promise<void> => {
      /** A step that has no deadline of its own; one that hangs is named with its seed. */
      const step = <T>(name: string, work: Promise<T>): Promise<T> =>
        withTimeout(() => work, { name: `${name}, seed ${seed}`, timeoutMs: STEP_MS });
      const random = seededRandom(seed);
      const { proxy, url } = await ground.proxy();
      const database = ground.database({
        hosts: url,
        max: 2,
        connectTimeoutMs: 1_000,
        cancelGraceMs: 20,
        random,
      });
      // The links stand before the storm, so that it meets calls and not only attempts to connect.
      await step('first calls', Promise.all([connected(database), connected(database)]));
      const drawn = storm(seed, { durationMs: DURATION_MS, maxFaults: 4 });
      const stormy = playStorm(proxy, drawn);
      const callers = Array.from({ length: CALLERS }, async () => {
        for (let turn = 0; turn < 3; turn += 1) {
          const timeoutMs = 10 + Math.floor(random() * 150);
          const options = { timeoutMs, idempotent: random() < 0.5 };
          const isTransaction = random() < 0.3;
          await punctuality
            .watch<unknown>(timeoutMs, () =>
              isTransaction
                ? database.transaction((tx) => tx.query('select 1'), { timeoutMs })
                : database.query('select 1', [], options),
            )
            .then(
              () => (served += 1),
              () => undefined,
            );
        }
      });
      await step('callers', Promise.all(callers));
      await step('storm', stormy);
      await step('heal', proxy.heal());
      // Whatever has happened, it serves again, and its end is an end.
      const options = { timeoutMs: 10_000, idempotent: true };
      const after = await step(
        'query afterwards',
        database.query('select 42 as answer', [], options).catch((error: unknown) => error),
      );
      expect({ seed, after }).toMatchObject({ seed, after: { rows: [{ answer: 42 }] } });
      await step('end', database.end({ deadlineMs: 1_000 }));
      await proxy.close();
      played += 1;
    };
    const playMany = async (): Promise<void> => {
      while (next < FIRST_SEED + SCHEDULES && systemClock.now() < deadlineMs) {
        const seed = next;
        next += 1;
        await playOne(seed);
        expect({ seed, late: punctuality.latestMs() > SLACK_MS }).toEqual({ seed, late: false });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, playMany));
    return {
      accepted: played,
      delivered: played,
      seed: FIRST_SEED,
      note: `${played} schedules, ${punctuality.calls} calls (${served} served), the latest ${Math.round(punctuality.latestMs())} ms after its deadline`,
    };
  },
);

function connected(database: Database): Promise<unknown> {
  return database.query('select pg_sleep(0.001)', [], { timeoutMs: 10_000, idempotent: true });
}
