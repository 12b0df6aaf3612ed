import { expect, test } from '@jest/globals';
import { memoryLedger } from '@holdfast/queue';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { TOPIC } from '../../../src/outage.ts';
import { waitUntil } from '../../../src/wait-until.ts';

/** Jobs accepted longer before the flush than `retainMs`, and jobs accepted just before it. */
const OLD = 200;
const FRESH = 100;
const JOBS = OLD + FRESH;
const RETAIN_MS = 3_000;
const CONSUMERS = 3;

interface Flushed {
  /** How often each job was handled, by its number. */
  readonly runs: ReadonlyMap<number, number>;
  readonly resent: number;
}

/**
 * Has three consumers handle jobs, and flushes Redis while the last of them are retained. The consumers remember nothing, as if
 * each job were delivered to another process the second time.
 */
async function runFlushed(
  fixture: RedisFixture,
  ledger: ReturnType<typeof memoryLedger> | undefined,
): Promise<Flushed> {
  const runs = new Map<number, number>();
  const queue = fixture.queue({ directory: await fixture.directory(), retainMs: RETAIN_MS });
  const workers = Array.from({ length: CONSUMERS }, () => fixture.queue({ fallback: 'memory' }));
  const options = { maxRememberedJobs: 0, ...(ledger && { ledger }) };
  const handle = ({ payload }: { payload: unknown }): void => {
    runs.set(Number(payload), (runs.get(Number(payload)) ?? 0) + 1);
  };
  for (const worker of workers) worker.process(TOPIC, handle, options);
  const enqueue = async (from: number, count: number): Promise<void> => {
    await queue.enqueueMany(
      TOPIC,
      Array.from({ length: count }, (_, index) => ({ payload: from + index })),
    );
    await waitUntil(() => runs.size === from + count);
    await fixture.untilHandled(TOPIC);
  };
  await enqueue(0, OLD);
  await sleep(systemClock, RETAIN_MS);
  await enqueue(OLD, FRESH);
  const lost = nextEvent(queue, 'server-lost-jobs');
  await fixture.admin((client) => client.flushall());
  await queue.enqueue(TOPIC, JOBS);
  const { resent } = await lost;
  await waitUntil(() => runs.has(JOBS));
  await fixture.untilHandled(TOPIC);
  return { runs, resent };
}

test('after FLUSHALL, only jobs accepted within retainMs run again, as many as server-lost-jobs tells, each once more', async () => {
  const fixture = await openRedisFixture({});
  try {
    const { runs, resent } = await runFlushed(fixture, undefined);
    const again = [...runs].filter(([, count]) => count > 1).map(([number]) => number);
    expect(again.length).toBeLessThanOrEqual(resent);
    expect(resent).toBeLessThanOrEqual(FRESH);
    expect(again.filter((number) => number < OLD)).toEqual([]);
    expect(Math.max(...runs.values())).toBeLessThanOrEqual(2);
    expect(runs.size).toBe(JOBS + 1);
  } finally {
    await fixture.close();
  }
});

test('after FLUSHALL, a ledger outside of Redis keeps handled jobs from running again', async () => {
  const fixture = await openRedisFixture({});
  try {
    const { runs, resent } = await runFlushed(fixture, memoryLedger());
    expect(resent).toBeGreaterThan(0);
    expect([...runs.values()].filter((count) => count > 1)).toEqual([]);
    expect(runs.size).toBe(JOBS + 1);
  } finally {
    await fixture.close();
  }
});
