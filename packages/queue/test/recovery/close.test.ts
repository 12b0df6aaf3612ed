import { expect, test } from '@jest/globals';
import { openTestQueue } from '../open-queue.ts';

test('by default close takes at most 8 s, with jobs in memory and with a handler that does not end', async () => {
  const { queue, backend, clock } = openTestQueue();
  await backend.opened;
  const accepted = queue.enqueue('t', 1);
  backend.failAttempt({ errorClass: 'unreachable', message: 'connection refused' });
  expect(await accepted).toMatchObject({ accepted: 'memory' });
  const startMs = clock.now();
  const closed = queue.close();
  await expect(clock.settle(closed)).rejects.toMatchObject({ code: 'QUEUE_UNDRAINED' });
  expect(clock.now() - startMs).toBeLessThanOrEqual(8_000);

  const other = openTestQueue();
  other.backend.up();
  await other.queue.enqueue('t', 1);
  const started = new Promise<void>((resolve) => {
    other.queue.process('t', () => {
      resolve();
      return new Promise(() => undefined);
    });
  });
  await started;
  const beginMs = other.clock.now();
  await other.clock.settle(other.queue.close());
  expect(other.clock.now() - beginMs).toBeLessThanOrEqual(8_000);
  await other.queue.close();
});

test('from the call of close on a queue is critical and closed, however often it is called', async () => {
  for (const isOpened of [true, false]) {
    const { queue, backend, clock } = openTestQueue();
    backend.up();
    if (isOpened) await queue.enqueue('t', 1);
    const consumer = queue.process('t', () => undefined);
    await expect(queue.close({ deadlineMs: -1 })).rejects.toMatchObject({ field: 'deadlineMs' });
    const closing = queue.close();
    expect(queue.health()).toMatchObject({ level: 'critical', state: 'closed' });
    expect(queue.close({ deadlineMs: 1 })).toBe(closing);
    expect(consumer.close()).toBe(consumer.close());
    await clock.settle(closing);
    expect(queue.health()).toMatchObject({ level: 'critical', state: 'closed' });
    expect(queue.close()).toBe(closing);
  }
});
