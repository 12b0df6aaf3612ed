import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { fail } from '../../src/backend.ts';
import {
  DeliveryQueue,
  type DeliveryResult,
  retryAfterMsIn,
} from '../../src/replication/delivery-queue.ts';

type Outcome = DeliveryResult['outcome'];

const AWAY = fail('transient', 'ECONNREFUSED');
const responded: Outcome = { kind: 'responded' };
const failed: Outcome = { kind: 'failed', failure: AWAY };
const denied: Outcome = { kind: 'denied', failure: fail('denied', '403') };

interface Opened {
  readonly queue: DeliveryQueue;
  readonly clock: FakeClock;
  /** The names of the deliveries in the order they were started. */
  readonly started: string[];
  readonly states: string[];
  /** Adds a delivery that ends when it is to. */
  readonly add: (name: string, delayMs?: number) => void;
  readonly end: (name: string, outcome: Outcome) => Promise<void>;
}

function open(maxConcurrent = 2, failureThreshold = 3): Opened {
  const clock = createFakeClock();
  const started: string[] = [];
  const states: string[] = [];
  const running = new Map<string, (result: DeliveryResult) => void>();
  const queue = new DeliveryQueue({
    name: 'primary',
    clock,
    maxConcurrent,
    circuitBreaker: { failureThreshold, openDurationMs: 1_000, maxOpenDurationMs: 4_000 },
    deniedProbeMs: 60_000,
    onStateChange: () => states.push(queue.state),
  });
  return {
    queue,
    clock,
    started,
    states,
    add(name, delayMs = 0) {
      const work = (): Promise<DeliveryResult> => {
        started.push(name);
        return new Promise((resolve) => running.set(name, resolve));
      };
      queue.run(work, delayMs);
    },
    async end(name, outcome) {
      running.get(name)?.({ outcome, next: { kind: 'settled' } });
      await clock.advance(0);
    },
  };
}

test('deliveries are started in their order, no more at once than permitted', async () => {
  const { queue, started, add, end } = open(2);
  for (const name of ['a', 'b', 'c', 'd']) add(name);
  expect(started).toEqual(['a', 'b']);
  expect([queue.inFlight, queue.waiting]).toEqual([2, 2]);
  await end('b', responded);
  expect(started).toEqual(['a', 'b', 'c']);
  await end('a', responded);
  await end('c', responded);
  await end('d', responded);
  expect([queue.inFlight, queue.waiting, queue.state]).toEqual([0, 0, 'up']);
});

test('a delayed delivery waits for its time, and can be canceled', async () => {
  const { queue, clock, started, add, end } = open();
  add('late', 100);
  const canceled = queue.run(() => Promise.reject(new Error('not called')), 50);
  expect([queue.waiting, started]).toEqual([2, []]);
  canceled.cancel();
  expect(await canceled.delivery).toBeUndefined();
  await clock.advance(99);
  expect(started).toEqual([]);
  await clock.advance(1);
  expect(started).toEqual(['late']);
  await end('late', responded);
  expect(clock.pendingTimers).toBe(0);
});

test('a failing backend is left alone, then asked by one, then by more and more', async () => {
  const { queue, clock, started, states, add, end } = open(4);
  for (let name = 0; name < 20; name += 1) add(`${name}`);
  for (const name of ['0', '1', '2', '3']) await end(name, failed);
  expect(queue.state).toBe('down');
  await clock.advance(900);
  const before = started.length;
  for (const name of started.slice(4)) await end(name, failed);
  await clock.advance(5_000);
  const canary = started.at(-1) ?? '';
  expect(started.length - before).toBeLessThanOrEqual(2);
  await end(canary, responded);
  expect(queue.state).toBe('recovering');
  expect(queue.inFlight).toBe(2);
  const next = started.slice(-2);
  await end(next[0] ?? '', responded);
  expect(queue.inFlight).toBe(3);
  for (let round = 0; queue.inFlight > 0 && round < 40; round += 1) {
    for (const name of started) await end(name, responded);
  }
  expect([queue.state, queue.inFlight, queue.waiting]).toEqual(['up', 0, 0]);
  expect(states).toEqual(['down', 'recovering', 'up']);
});

test('a backend that denies gets one probe in its time, and everything after a success', async () => {
  const { queue, clock, started, add, end } = open(3);
  for (const name of ['a', 'b', 'c', 'd']) add(name);
  for (const name of ['a', 'b', 'c']) await end(name, denied);
  expect(queue.state).toBe('denied');
  await clock.advance(59_999);
  expect(started).toEqual(['a', 'b', 'c']);
  for (const name of ['e', 'f', 'g']) add(name);
  await clock.advance(1);
  expect(started.slice(3)).toEqual(['d']);
  await end('d', responded);
  expect(queue.state).toBe('recovering');
  expect(started.slice(3)).toEqual(['d', 'e', 'f']);
  await end('e', responded);
  expect(queue.state).toBe('up');
});

test('nothing is sent before the time that a backend asks for, whatever is answered meanwhile', async () => {
  const { queue, clock, started, add, end } = open(3);
  for (const name of ['a', 'b', 'c', 'd']) add(name);
  const asking = (retryAfterMs: number): Outcome => ({
    kind: 'failed',
    failure: fail('transient', '429', { retryAfterMs }),
  });
  await end('a', asking(10_000));
  await end('b', asking(1_000));
  await end('c', responded);
  expect([queue.state, started]).toEqual(['down', ['a', 'b', 'c']]);
  await clock.advance(9_999);
  expect(started).toHaveLength(3);
  await clock.advance(1);
  expect(started).toHaveLength(4);
  await end('d', responded);
  expect(queue.state).toBe('up');
});

test('a delivery that shows nothing of the backend changes nothing', async () => {
  const { queue, clock, started, add, end } = open(1, 1);
  for (const name of ['a', 'b', 'c']) add(name);
  await end('a', { kind: 'inconclusive' });
  expect([queue.state, started]).toEqual(['up', ['a', 'b']]);
  await end('b', failed);
  expect(queue.state).toBe('down');
  await clock.advance(2_000);
  expect(started).toHaveLength(3);
  await end('c', { kind: 'inconclusive' });
  expect(queue.state).toBe('down');
  add('d');
  await clock.advance(10);
  expect(started.at(-1)).toBe('d');
});

test('a closed queue starts nothing, and its deliveries end without a result', async () => {
  const { queue, clock, started, add, end } = open(1);
  const nothing = (): Promise<DeliveryResult> => Promise.reject(new Error('not called'));
  add('a');
  const waiting = [queue.run(nothing, 0), queue.run(nothing, 10)];
  queue.close();
  expect(await Promise.all(waiting.map(({ delivery }) => delivery))).toEqual([
    undefined,
    undefined,
  ]);
  expect(await queue.run(nothing, 0).delivery).toBeUndefined();
  await end('a', responded);
  await clock.advance(100);
  expect([started, queue.waiting, clock.pendingTimers]).toEqual([['a'], 0, 0]);
});

test.each([
  [{ retryAfterMs: 5 }, 5],
  [{ retryAfterMs: 3_600_000 }, 3_600_000],
  [{ retryAfterMs: 3_600_001 }, 3_600_000],
  [{ retryAfterMs: 0 }, undefined],
  [{ retryAfterMs: -1 }, undefined],
  [{ retryAfterMs: Number.NaN }, undefined],
  [{ retryAfterMs: '5' }, undefined],
  [{}, undefined],
  [null, undefined],
  ['text', undefined],
])('the time that %j asks for is %j', (error, expected) => {
  expect(retryAfterMsIn(error)).toBe(expected);
});
