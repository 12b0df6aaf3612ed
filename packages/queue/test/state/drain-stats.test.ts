import { expect, test } from '@jest/globals';
import { nextEvent, sleep } from '@holdfast/foundation';
import { MAX_BATCH_JOBS } from '../../src/batch-limits.ts';
import { BackendError } from '../../src/errors.ts';
import { openTestQueue } from '../open-queue.ts';

const gone = new BackendError('unreachable', 'connection refused');

test('during a drain the health tells the age of the rest, and how long it takes at this pace', async () => {
  const { queue, backend, clock } = openTestQueue({ fallback: 'memory' });
  await backend.opened;
  backend.failAttempt(gone);
  expect(queue.health()).not.toHaveProperty('oldestAgeMs');
  const count = 4 * MAX_BATCH_JOBS;
  const payloads = Array.from({ length: count }, (_, payload) => ({ payload }));
  await queue.enqueueMany('t', payloads.slice(0, count / 2));
  await clock.advance(5_000);
  await queue.enqueueMany('t', payloads.slice(count / 2));
  expect(queue.health()).not.toHaveProperty('drainEtaMs');
  const publish = backend.publish.bind(backend);
  backend.publish = async (publication) => {
    // As over a slow network.
    await sleep(clock, 1_000);
    return publish(publication);
  };
  const connectedAtMs = clock.now();
  const drained = nextEvent(queue, 'drained');
  backend.up();
  const etas: number[] = [];
  const ages: number[] = [];
  while (queue.getStats().state !== 'direct') {
    await clock.advance(500);
    const { oldestAgeMs, drainEtaMs } = queue.health();
    const { backlog, drained: moved } = queue.getStats();
    if (oldestAgeMs !== undefined) ages.push(clock.now() - oldestAgeMs);
    if (drainEtaMs === undefined || backlog.jobs === 0) continue;
    etas.push(drainEtaMs);
    expect(drainEtaMs).toBe(
      Math.ceil((backlog.jobs * (clock.now() - connectedAtMs)) / Math.max(1, moved)),
    );
  }
  expect(etas.length).toBeGreaterThan(2);
  // The first half was enqueued at the beginning, the other five seconds later.
  expect([...new Set(ages)]).toEqual([0, 5_000]);
  const { jobs, tookMs } = await drained;
  expect(jobs).toBe(count);
  // Four publications, or as few as they fit into.
  expect(tookMs).toBeGreaterThanOrEqual(2_000);
  expect(tookMs).toBeLessThanOrEqual(clock.now() - connectedAtMs);
  expect(queue.health()).not.toHaveProperty('oldestAgeMs');
  await clock.settle(queue.close());
});

test('a backlog is drained to its end while new jobs keep coming, in their order', async () => {
  const { queue, backend, clock } = openTestQueue({ fallback: 'memory' });
  await backend.opened;
  backend.failAttempt(gone);
  let count = 2 * MAX_BATCH_JOBS;
  await queue.enqueueMany(
    't',
    Array.from({ length: count }, (_, payload) => ({ payload })),
  );
  const publish = backend.publish.bind(backend);
  backend.publish = async (publication) => {
    await sleep(clock, 100);
    return publish(publication);
  };
  backend.up();
  const accepted: Promise<unknown>[] = [];
  for (let step = 0; step < 200 && queue.getStats().state !== 'direct'; step += 1) {
    accepted.push(queue.enqueue('t', count));
    count += 1;
    await clock.advance(10);
  }
  expect(queue.getStats().state).toBe('direct');
  await clock.settle(Promise.all(accepted));
  await clock.settle(queue.close());
  const numbers = (backend.applied.get('t') ?? []).map(Number);
  expect(numbers).toEqual(Array.from({ length: count }, (_, number) => number));
});

test('closing ends as soon as the fallback in memory is drained, long before its deadline', async () => {
  const { queue, backend, clock } = openTestQueue({ fallback: 'memory' });
  await backend.opened;
  backend.failAttempt(gone);
  await queue.enqueueMany('t', [{ payload: 1 }, { payload: 2 }]);
  let isClosed = false;
  const closed = queue.close({ deadlineMs: 600_000 }).then(() => (isClosed = true));
  await clock.advance(1_000);
  expect(isClosed).toBe(false);
  backend.up();
  for (let step = 0; step < 100; step += 1) await clock.advance(100);
  expect(isClosed).toBe(true);
  await closed;
  expect(backend.applied.get('t')).toEqual(['1', '2']);
});
