import { expect } from '@jest/globals';
import { PartialEnqueueError } from '@holdfast/queue';
import { systemClock } from '@holdfast/foundation';
import { Ledger } from '../../../src/ledger.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { AOF_ALWAYS } from '../../../src/redis-fixture.ts';
import { scenario } from '../../../src/scenario.ts';

const JOBS = 15_000;
/** So many are accepted before Redis is killed, and so many find room in the journal after that. */
const BEFORE = 4_000;
const ROOM = 1_500;

scenario(
  'redis-failover',
  {
    promise: 'a list of 15 000 jobs amid which Redis is killed is rejected with what was accepted',
    fault: 'kill -9 after 4,000 jobs, a journal with room for 1,500, start; appendfsync always',
    settings: AOF_ALWAYS,
  },
  async (fixture) => {
    const directory = await fixture.directory();
    // Small parts: the list must last longer than it takes to kill a container.
    const queue = fixture.queue({ directory, maxBacklogJobs: ROOM, maxPendingJobs: 200 });
    await queue.ready();
    const jobs = Array.from({ length: JOBS }, (_, payload) => ({ payload }));
    let notified = 0;
    let killed: Promise<unknown> | undefined;
    const error: unknown = await queue
      .enqueueMany(TOPIC, jobs, {
        onAccepted() {
          notified += 1;
          if (notified >= BEFORE) killed ??= fixture.redis.kill();
        },
      })
      .catch((thrown: unknown) => thrown);
    const diedAtMs = systemClock.now();
    await killed;
    if (!(error instanceof PartialEnqueueError)) throw error;
    const { results } = error;
    expect(results).toHaveLength(JOBS);
    const ledger = new Ledger();
    const refused = new Set<unknown>();
    for (const [job, result] of results.entries()) {
      if (result.status === 'fulfilled') ledger.accepted(job, result.value.accepted);
      else if (Object(result.reason).outcome === 'not-applied') refused.add(job);
    }
    expect(ledger.acceptedBy('redis').length).toBeGreaterThanOrEqual(BEFORE);
    expect(ledger.acceptedBy('journal')).toHaveLength(ROOM);
    expect(ledger.acceptedJobs().length).toBeLessThan(JOBS);
    expect(error.accepted).toHaveLength(ledger.acceptedJobs().length);
    expect(notified).toBe(ledger.acceptedJobs().length);

    await fixture.redis.start();
    const lastedMs = systemClock.now() - diedAtMs;
    const added: unknown[] = [];
    const handle = ({ payload }: { payload: unknown }): void => {
      added.push(payload);
      ledger.delivered(Number(payload));
    };
    queue.process(TOPIC, handle, { concurrency: 500 });
    await untilDirect(queue);
    await ledger.settled(10_000);
    await fixture.untilHandled(TOPIC);
    expect(refused.size).toBeGreaterThan(0);
    expect(added.filter((job) => refused.has(job))).toEqual([]);
    return { verdict: { ...ledger.verdict(), outOfOrder: [] }, lastedMs };
  },
);
