import { expect, test } from '@jest/globals';
import { CallDeadline } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { WaitQueue } from '../../src/pool/wait-queue.ts';
import { fateOf } from './pool-bench.ts';

interface Bench {
  readonly clock: FakeClock;
  readonly queue: WaitQueue<string>;
  /** How many callers have given up. */
  readonly gaveUp: () => number;
  readonly wait: (timeoutMs: number, timerMs?: number, signal?: AbortSignal) => Promise<string>;
}

function open(): Bench {
  const clock = createFakeClock();
  let gaveUp = 0;
  const queue = new WaitQueue<string>(
    clock,
    ({ sinceMs, timeoutMs }) =>
      Object.assign(new Error(), { code: `${clock.now() - sinceMs} of ${timeoutMs}` }),
    () => (gaveUp += 1),
  );
  const wait: Bench['wait'] = (timeoutMs, timerMs, signal) => {
    const signals = signal === undefined ? undefined : [signal];
    const deadline = new CallDeadline(clock, timeoutMs, signals);
    return queue.wait(deadline, clock.now(), timerMs).finally(() => deadline.release());
  };
  return { clock, queue, gaveUp: () => gaveUp, wait };
}

test('a wait ends at the deadline of its call, or at its own timer, and names the one that ended it', async () => {
  const { clock, queue, gaveUp, wait } = open();
  const [ofCall, ofWait] = [wait(100), wait(5_000, 40)];
  await clock.advance(40);
  expect(await fateOf(clock, ofWait)).toBe('40 of 40');
  expect(queue.size).toBe(1);
  await clock.advance(60);
  expect(await fateOf(clock, ofCall)).toBe('100 of 100');
  expect([queue.size, gaveUp(), clock.pendingTimers]).toEqual([0, 2, 0]);
});

test('a caller that was served, or rejected, has left: neither its timer nor its signal does anything later', async () => {
  const { clock, queue, gaveUp, wait } = open();
  const abort = new AbortController();
  const waits = [wait(100, 50), wait(100, 50, abort.signal), wait(100, 50)];
  queue.shift()?.serve('first');
  queue.rejectAll(() => 'away');
  expect(await Promise.allSettled(waits)).toEqual([
    { status: 'fulfilled', value: 'first' },
    { status: 'rejected', reason: 'away' },
    { status: 'rejected', reason: 'away' },
  ]);
  expect(clock.pendingTimers).toBe(0);
  abort.abort('late');
  await clock.advance(1_000);
  expect([queue.size, gaveUp()]).toEqual([0, 0]);
});

test('a deadline between leaving the queue and being served changes nothing', async () => {
  const { clock, queue, gaveUp, wait } = open();
  const waiting = wait(100);
  const waiter = queue.shift();
  await clock.advance(100);
  waiter?.serve('in time');
  expect(await waiting).toBe('in time');
  expect(gaveUp()).toBe(0);
});

test('a signal ends its wait with its own reason, and the others keep their places', async () => {
  const { clock, queue, gaveUp, wait } = open();
  const abort = new AbortController();
  const [first, , quitter, last] = [wait(100), wait(100), wait(100, 50, abort.signal), wait(100)];
  abort.abort('changed my mind');
  await expect(quitter).rejects.toBe('changed my mind');
  expect([queue.size, gaveUp()]).toEqual([3, 1]);
  queue.serveAll('served');
  expect([await first, await last, queue.size]).toEqual(['served', 'served', 0]);
  expect(clock.pendingTimers).toBe(0);
});

test('those who have waited since a moment or longer are rejected, later ones wait on', async () => {
  const { clock, queue, wait } = open();
  const early = wait(1_000, 500);
  await clock.advance(10);
  const exactly = wait(1_000, 500);
  await clock.advance(1);
  const later = wait(1_000, 500);
  queue.rejectWaitingSince(10);
  const fates = [early, exactly, later].map((waiting) => fateOf(clock, waiting));
  expect(await Promise.all(fates)).toEqual(['11 of 500', '1 of 500', 'pending']);
  expect(queue.size).toBe(1);
  queue.rejectWaitingSince(11);
  expect(await fateOf(clock, later)).toBe('0 of 500');
  queue.rejectWaitingSince(1_000);
  expect([queue.size, clock.pendingTimers]).toEqual([0, 0]);
});
