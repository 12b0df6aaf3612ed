import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { BackendError } from '../../src/errors.ts';
import type { QueueOptions } from '../../src/index.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];

afterEach(async () => {
  for (const { queue, clock } of opened.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
    expect(clock.pendingTimers).toBe(0);
  }
});

const RETAIN_MS = 5_000;

async function openUp(options: Partial<QueueOptions>): Promise<TestQueue> {
  const opening = openTestQueue({ retainMs: RETAIN_MS, ...options });
  opened.push(opening);
  await opening.backend.opened;
  opening.backend.up();
  await opening.queue.ready();
  return opening;
}

test('as many topics as maxTopics are accepted, and one more is rejected while they are in use', async () => {
  const { queue, clock } = await openUp({ maxTopics: 3 });
  for (const topic of ['a', 'b', 'c']) await queue.enqueue(topic, 1);
  await clock.advance(RETAIN_MS / 2);
  await expect(queue.enqueue('d', 1)).rejects.toMatchObject({
    code: 'QUEUE_FULL',
    limit: 'maxTopics',
    outcome: 'not-applied',
  });
});

test('topics that are not in use any more make room for others, for ever', async () => {
  const { queue, clock, backend } = await openUp({ maxTopics: 3 });
  for (let topic = 0; topic < 300; topic += 1) {
    await queue.enqueue(`t-${topic}`, topic);
    if (topic % 3 === 2) await clock.advance(RETAIN_MS + 2);
  }
  expect(backend.applied.size).toBe(300);
});

test('a topic that is used again continues behind its former jobs, and none is skipped', async () => {
  const { queue, clock, backend } = await openUp({ maxTopics: 2 });
  for (let round = 0; round < 5; round += 1) {
    await queue.enqueueMany('again', [{ payload: round * 2 }, { payload: round * 2 + 1 }]);
    await clock.advance(RETAIN_MS + 2);
    for (const other of ['x', 'y']) {
      await queue.enqueue(`${other}-${round}`, 1);
      await clock.advance(RETAIN_MS + 2);
    }
  }
  expect(backend.applied.get('again')).toEqual(Array.from({ length: 10 }, (_, job) => `${job}`));
});

test('a topic with jobs in the fallback stays, and they are drained in order', async () => {
  const { queue, clock, backend } = await openUp({ maxTopics: 1 });
  await queue.enqueue('t', 1);
  await clock.advance(RETAIN_MS + 2);
  backend.down();
  backend.failAttempt(new BackendError('unreachable', 'gone'));
  await queue.enqueue('t', 2);
  await clock.advance(RETAIN_MS + 2);
  await expect(queue.enqueue('other', 1)).rejects.toMatchObject({ limit: 'maxTopics' });
  backend.up();
  await queue.enqueue('t', 3);
  while (queue.state !== 'direct') await nextTurn();
  expect(backend.applied.get('t')).toEqual(['1', '2', '3']);
});
