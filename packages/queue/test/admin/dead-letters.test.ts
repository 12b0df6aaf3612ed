import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createMemoryBackend, createQueueOn } from '@holdfast/queue';

test('a dead letter lists every attempt, those in one delivery too', async () => {
  const queue = createQueueOn(createMemoryBackend());
  const deadLettered = nextEvent(queue, 'dead-lettered');
  const fail = (): never => {
    throw new Error('no luck');
  };
  queue.process('doomed', fail, { maxAttempts: 3, retryDelayMs: 1 });
  await queue.enqueue('doomed', 1, { jobId: 'd' });
  await deadLettered;
  const letters = queue.deadLetters('doomed');
  let listed = await letters.list();
  while (listed.length === 0) listed = await letters.list();
  expect(listed).toMatchObject([{ id: 'd', attempts: 3, reason: 'Error: no luck' }]);
  await queue.close();
});
