import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import type { Delivery, Subscription } from '../../src/backend.ts';
import { Acknowledger } from '../../src/consumer/acknowledger.ts';
import { JobMemory } from '../../src/consumer/job-memory.ts';
import { BackendError } from '../../src/errors.ts';

function delivery(handle: string, deliveries = 1): Delivery {
  return { handle, id: `id ${handle}`, deliveries, enqueuedAtMs: 0, payload: 'null' };
}

interface Opened {
  readonly acknowledger: Acknowledger;
  readonly clock: FakeClock;
  readonly memory: JobMemory;
  /** What the store received, in order. */
  readonly received: string[];
  readonly kept: { readonly handle: string; readonly delayMs: number }[];
  readonly stalls: string[];
  /** Called before the store does what it is asked. */
  answer: (received: string) => unknown;
}

function open(): Opened {
  const clock = createFakeClock();
  const memory = new JobMemory();
  memory.grow(100);
  const received: string[] = [];
  const tell = async (what: string): Promise<unknown> => {
    received.push(what);
    return opened.answer(what);
  };
  const subscription: Subscription = {
    whenConnected: async (signal) => signal.throwIfAborted(),
    fetch: async () => [],
    recover: async () => ({ deliveries: [], lost: [] }),
    acknowledge: async (handles) => void (await tell(`acknowledge ${handles.join(' ')}`)),
    deadLetter: async ({ handle }, reason) => void (await tell(`bury ${handle} ${reason}`)),
    async retryLater({ handle }, delayMs) {
      return (await tell(`retry ${handle} ${delayMs}`)) === 'kept' ? 'kept' : 'delayed';
    },
    close: async () => undefined,
  };
  const kept: Opened['kept'] = [];
  const seen: string[] = [];
  const stalls = {
    current: undefined,
    failed: (activity: string) => void seen.push(`failed ${activity}`),
    succeeded: (activity: string) => void seen.push(`succeeded ${activity}`),
  };
  const acknowledger = new Acknowledger({
    subscription,
    clock,
    random: seededRandom(1),
    memory,
    // Only these two are called.
    stalls: Object.assign(Object.create(null), stalls),
    onKept: ({ handle }, delayMs) => kept.push({ handle, delayMs }),
  });
  const opened: Opened = {
    acknowledger,
    clock,
    memory,
    received,
    kept,
    stalls: seen,
    answer: () => undefined,
  };
  return opened;
}

const busy = new BackendError('busy', 'it is full');
const away = new BackendError('unreachable', 'it is away');
const throwing = (error: Error) => (): never => {
  throw error;
};
/** Turns of the microtask queue. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}

test('jobs that are handled in one turn are acknowledged in one batch, and remembered', async () => {
  const { acknowledger, clock, memory, received, stalls } = open();
  const jobs = ['a', 'b', 'c'].map((handle) => delivery(handle));
  for (const job of jobs) {
    memory.begin(job);
    acknowledger.acknowledge(job);
  }
  expect(acknowledger.size).toBe(3);
  expect([...acknowledger.handles()]).toEqual(['a', 'b', 'c']);
  expect(jobs.map((job) => memory.isActive(job))).toEqual([true, true, true]);
  await clock.advance(0);
  expect(received).toEqual(['acknowledge a b c']);
  expect(acknowledger.size).toBe(0);
  expect(jobs.map((job) => memory.isActive(job))).toEqual([false, false, false]);
  expect(jobs.every((job) => memory.wasHandled(job))).toBe(true);
  expect(stalls).toEqual(['succeeded settle']);
});

test('a job that is handled at any moment of another one’s report is reported as well', async () => {
  for (let turn = 0; turn < 30; turn += 1) {
    const { acknowledger, clock, received } = open();
    acknowledger.acknowledge(delivery('a'));
    await turns(turn);
    acknowledger.acknowledge(delivery('b'));
    await clock.advance(0);
    expect(received.join(' ')).toContain('b');
    expect(acknowledger.size).toBe(0);
  }
});

test('what the store refuses is sent again until it is confirmed, and the refusal is reported', async () => {
  const opened = open();
  const { acknowledger, clock, received, stalls } = opened;
  opened.answer = throwing(busy);
  acknowledger.acknowledge(delivery('a'));
  acknowledger.deadLetter(delivery('b'), 'reason', undefined);
  await clock.advance(5_000);
  const attempts = received.length;
  // The delays grow to half a second.
  expect(attempts).toBeGreaterThan(8);
  expect(attempts).toBeLessThan(24);
  expect(acknowledger.size).toBe(2);
  expect(new Set(stalls)).toEqual(new Set(['failed settle']));
  opened.answer = () => undefined;
  await clock.advance(1_000);
  expect(received.slice(attempts)).toEqual(['acknowledge a', 'bury b reason']);
  expect([acknowledger.size, clock.pendingTimers]).toEqual([0, 0]);
  expect(stalls.at(-1)).toBe('succeeded settle');
});

test('a burial that is refused does not hold up the others, and is tried again behind them', async () => {
  const opened = open();
  const { acknowledger, clock, received, memory } = opened;
  opened.answer = (what) => (what.startsWith('bury a') ? throwing(busy)() : undefined);
  const [first, second] = [delivery('a'), delivery('b')];
  memory.begin(first);
  memory.begin(second);
  acknowledger.deadLetter(first, '1', undefined);
  acknowledger.deadLetter(second, '2', undefined);
  await clock.advance(1);
  expect([...acknowledger.handles()]).toEqual(['a']);
  expect([memory.isActive(first), memory.isActive(second)]).toEqual([true, false]);
  opened.answer = () => undefined;
  await clock.advance(1_000);
  expect(acknowledger.size).toBe(0);
  expect(received.filter((what) => what === 'bury b 2')).toHaveLength(1);
});

test('no more than a hundred burials are under way at once, and refused ones make way for the next', async () => {
  const opened = open();
  const { acknowledger, clock } = opened;
  let running = 0;
  let most = 0;
  opened.answer = async (what) => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    running -= 1;
    if (Number(what.split(' ')[1]) < 100) throw busy;
  };
  for (let job = 0; job < 150; job += 1) acknowledger.deadLetter(delivery(`${job}`), '', undefined);
  await clock.advance(200);
  expect(most).toBe(100);
  expect(acknowledger.size).toBe(100);
  await clock.settle(acknowledger.finish(AbortSignal.abort()));
});

test('a failed job is put aside for the rest of its delay, however often the store is away', async () => {
  const opened = open();
  const { acknowledger, clock, received, kept } = opened;
  opened.answer = throwing(away);
  acknowledger.retryLater(delivery('a'), 3_000);
  await clock.advance(2_000);
  expect(received[0]).toBe('retry a 3000');
  opened.answer = () => undefined;
  await clock.advance(600);
  const left = Number(received.at(-1)?.split(' ')[2]);
  expect(left).toBeGreaterThanOrEqual(400);
  expect(left).toBeLessThanOrEqual(1_000);
  expect([acknowledger.size, kept]).toEqual([0, []]);
  opened.answer = throwing(away);
  acknowledger.retryLater(delivery('b'), 1_000);
  await clock.advance(5_000);
  opened.answer = () => undefined;
  await clock.advance(1_000);
  expect(received.at(-1)).toBe('retry b 0');
});

test.each([
  ['keeps it with the consumer', () => 'kept'],
  ['refuses it', throwing(busy)],
])('a failed job waits here when the store %s, and is settled no more', async (_, answer) => {
  const opened = open();
  const { acknowledger, clock, received, kept, memory } = opened;
  opened.answer = answer;
  const job = delivery('a');
  memory.begin(job);
  acknowledger.retryLater(job, 3_000);
  await clock.advance(100);
  expect(received).toEqual(['retry a 3000']);
  expect(kept).toEqual([{ handle: 'a', delayMs: 3_000 }]);
  expect(acknowledger.size).toBe(0);
  // It is this consumer's until it ran again.
  expect(memory.isActive(job)).toBe(true);
});

test('a job whose lease went to another consumer is not reported any more', async () => {
  const opened = open();
  const { acknowledger, clock, received, memory } = opened;
  opened.answer = throwing(away);
  const jobs = [delivery('a'), delivery('b'), delivery('c')];
  for (const job of jobs) memory.begin(job);
  const [handled, failed, other] = jobs;
  if (handled === undefined || failed === undefined || other === undefined) throw new Error('none');
  acknowledger.acknowledge(handled);
  acknowledger.deadLetter(failed, '', undefined);
  acknowledger.acknowledge(other);
  await clock.advance(1);
  acknowledger.drop('a');
  acknowledger.drop('b');
  acknowledger.drop('unknown');
  expect([...acknowledger.handles()]).toEqual(['c']);
  expect(jobs.map((job) => memory.isActive(job))).toEqual([false, false, true]);
  const before = received.length;
  opened.answer = () => undefined;
  await clock.advance(1_000);
  expect(received.slice(before)).toEqual(['acknowledge c']);
});

test('a consumer that gives up ends at once, and what was not confirmed is free for others', async () => {
  const opened = open();
  const { acknowledger, clock, memory, received } = opened;
  opened.answer = throwing(away);
  const jobs = ['a', 'b', 'c', 'd'].map((handle) => delivery(handle));
  for (const job of jobs) memory.begin(job);
  const [handled, failed, late, lateFailed] = jobs;
  if (!handled || !failed || !late || !lateFailed) throw new Error('none');
  acknowledger.acknowledge(handled);
  acknowledger.deadLetter(failed, '', undefined);
  await clock.advance(10);
  const giveUp = new AbortController();
  const finished = acknowledger.finish(giveUp.signal);
  await clock.advance(2_000);
  expect(memory.isActive(handled)).toBe(true);
  giveUp.abort();
  await finished;
  const before = received.length;
  acknowledger.acknowledge(late);
  acknowledger.deadLetter(lateFailed, '', undefined);
  acknowledger.retryLater(lateFailed, 10);
  await clock.advance(5_000);
  // What succeeds later is tried once.
  expect(received).toHaveLength(before + 1);
  expect(jobs.map((job) => memory.isActive(job))).toEqual([false, false, false, false]);
  expect(memory.wasHandled(late)).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test('finishing waits until the store has confirmed everything', async () => {
  const opened = open();
  const { acknowledger, clock, received } = opened;
  opened.answer = throwing(away);
  acknowledger.acknowledge(delivery('a'));
  let isFinished = false;
  const { signal } = new AbortController();
  const finished = acknowledger.finish(signal).then(() => (isFinished = true));
  await clock.advance(3_000);
  expect(isFinished).toBe(false);
  opened.answer = () => undefined;
  await clock.settle(finished);
  expect([received.at(-1), acknowledger.size]).toEqual(['acknowledge a', 0]);
});
