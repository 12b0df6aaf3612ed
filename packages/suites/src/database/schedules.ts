import { expect } from '@jest/globals';
import type { Database } from '@holdfast/database';
import { playStorm, storm } from '@holdfast/faults';
import { seededRandom } from '@holdfast/foundation';
import { withTimeout } from '@holdfast/resilience';
import type { PostgresFixture, PostgresTarget } from './postgres-fixture.ts';
import type { DeadlineMonitor } from './deadline-monitor.ts';

const DURATION_MS = 60;
const CALLERS = 3;
const CALLS_EACH = 3;
const STEP_MS = 30_000;

/**
 * Runs one random schedule of the proxy's faults against callers with deadlines of 10 to 160 ms.
 * @returns how many calls were served.
 */
export async function runSchedule(
  fixture: PostgresFixture,
  upstream: PostgresTarget,
  seed: number,
  punctuality: DeadlineMonitor,
): Promise<number> {
  /** Runs a step that has no deadline of its own; a step that hangs is reported with its seed. */
  const step = <T>(name: string, work: Promise<T>): Promise<T> =>
    withTimeout(() => work, { name: `${name}, seed ${seed}`, timeoutMs: STEP_MS });
  const random = seededRandom(seed);
  let served = 0;
  const { proxy, url } = await fixture.proxy(upstream);
  const database = fixture.database({
    hosts: url,
    max: 2,
    acquireTimeoutMs: STEP_MS,
    connectTimeoutMs: 1_000,
    cancelGraceMs: 20,
    random,
  });
  // The connections are open before the storm, so that it hits calls and not only connection attempts.
  await step('first calls', Promise.all([connected(database), connected(database)]));
  const stormy = playStorm(proxy, storm(seed, { durationMs: DURATION_MS, maxFaults: 4 }));
  const callers = Array.from({ length: CALLERS }, async () => {
    for (let turn = 0; turn < CALLS_EACH; turn += 1) {
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
  // After the storm the pool serves again, and its close resolves.
  const options = { timeoutMs: STEP_MS, idempotent: true };
  const after = await step(
    'query afterwards',
    database.query('select 42 as answer', [], options).catch((error: unknown) => error),
  );
  expect({ seed, after }).toMatchObject({ seed, after: { rows: [{ answer: 42 }] } });
  await step('end', database.close({ deadlineMs: 1_000 }));
  await proxy.close();
  return served;
}

function connected(database: Database): Promise<unknown> {
  return database.query('select pg_sleep(0.001)', [], { timeoutMs: STEP_MS, idempotent: true });
}
