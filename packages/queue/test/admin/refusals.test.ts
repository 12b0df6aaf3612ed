import { expect, test } from '@jest/globals';
import { openTestQueue } from '../open-queue.ts';

test('a closed queue says that it is closed when its jobs are inspected, listed or redriven', async () => {
  const { queue, backend, clock } = openTestQueue();
  backend.up();
  await queue.ready();
  const letters = queue.deadLetters('t');
  const inspection = queue.inspect('t');
  await clock.settle(queue.close());
  const calls = [
    () => letters.list(),
    () => letters.redrive(),
    () => inspection.counts(),
    () => inspection.peek('waiting'),
    () => queue.deadLetters('t').redrive(),
  ];
  for (const call of calls) {
    await expect(call()).rejects.toMatchObject({ code: 'QUEUE_CLOSED', outcome: 'not-applied' });
  }
});

test('a payload of a list that JSON cannot hold is named by its place in the list', async () => {
  const { queue, clock } = openTestQueue();
  await expect(queue.enqueueMany('t', [{ payload: 1 }, { payload: { at: 1n } }])).rejects.toThrow(
    /^enqueueMany: jobs\[1\]\.payload\.at must be/u,
  );
  await clock.settle(queue.close());
});
