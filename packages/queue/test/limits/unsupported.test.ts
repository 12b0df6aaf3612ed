import { expect, test } from '@jest/globals';
import { upQueues } from '../open-queue.ts';

const openUp = upQueues();
const REFUSED = { code: 'QUEUE_OPERATION_UNSUPPORTED', outcome: 'not-applied' };

/** The fake backend has none of these, as BullMQ has no windows. */
test('what the store cannot do is refused by name, and changes nothing', async () => {
  const { queue, backend, clock } = await openUp();
  const debounce = { key: 'k', windowMs: 1_000 };
  await expect(queue.enqueue('t', 1, { debounce })).rejects.toMatchObject(REFUSED);
  await expect(queue.schedule('n', { everyMs: 1_000 }, 't', 1)).rejects.toMatchObject(REFUSED);
  const limits = { maxRunning: 1 };
  expect(() => queue.process('t', () => undefined, { limits })).toThrow(
    expect.objectContaining(REFUSED),
  );
  await clock.settle(queue.enqueue('t', 2));
  expect(backend.applied.get('t')).toEqual(['2']);
  expect(queue.schedules()).toEqual([]);
});
