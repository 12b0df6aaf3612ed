import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { Fence, type TimelineFence } from '../../src/hosts/timeline-fence.ts';

interface Bench {
  readonly fence: Fence;
  readonly clock: FakeClock;
  /** What was called, and told, in order. */
  readonly steps: string[];
  /** Settles the oldest call that waits. */
  readonly settle: (result?: number | Error) => Promise<void>;
}

/** A fence whose store answers on command. */
function open(): Bench {
  const clock = createFakeClock();
  const steps: string[] = [];
  const waiting: PromiseWithResolvers<number | undefined>[] = [];
  const call = (step: string): Promise<number | undefined> => {
    steps.push(step);
    const answer = Promise.withResolvers<number | undefined>();
    waiting.push(answer);
    return answer.promise;
  };
  const fenceStore: TimelineFence = {
    load: () => call('load'),
    store: async (timeline) => void (await call(`store ${timeline}`)),
  };
  const fence = new Fence({
    fenceStore,
    clock,
    timeoutMs: 1_000,
    onProgress: () => steps.push('progress'),
    onFailure: (action, error) => steps.push(`${action} failed: ${String(error)}`),
  });
  const settle: Bench['settle'] = async (result) => {
    const answer = waiting.shift();
    if (result instanceof Error) answer?.reject(result);
    else answer?.resolve(result);
    await clock.advance(0);
  };
  return { fence, clock, steps, settle };
}

async function openRead(stored?: number): Promise<Bench> {
  const bench = open();
  bench.fence.begin();
  await bench.clock.advance(0);
  await bench.settle(stored);
  bench.steps.length = 0;
  return bench;
}

test('without a store every host is admitted from the start, and nothing is kept', async () => {
  const clock = createFakeClock();
  const unexpected = (): never => {
    throw new Error('unexpected');
  };
  const deps = { clock, timeoutMs: 1_000, onProgress: unexpected, onFailure: unexpected };
  const fence = new Fence({ fenceStore: undefined, ...deps });
  fence.begin();
  fence.raise(4);
  await clock.advance(1_000);
  expect([fence.isRead, fence.admits(undefined), fence.admits(9), fence.timeline]).toEqual([
    true,
    true,
    true,
    4,
  ]);
  fence.end();
  expect(fence.admits(4)).toBe(false);
});

test('the store is read once, and until then no host is admitted', async () => {
  const { fence, clock, steps, settle } = open();
  expect(fence.admits(1)).toBe(false);
  fence.begin();
  fence.begin();
  await clock.advance(0);
  expect([fence.isRead, fence.admits(1), fence.admits(undefined)]).toEqual([false, false, false]);
  await settle(5);
  fence.begin();
  await clock.advance(10_000);
  expect(steps).toEqual(['load', 'progress']);
  expect([fence.isRead, fence.timeline]).toEqual([true, 5]);
  expect([fence.admits(5), fence.admits(6), fence.admits(undefined)]).toEqual([true, false, false]);
  expect(clock.pendingTimers).toBe(0);
});

test('a store that fails, or does not answer in time, is read again after a moment', async () => {
  const { fence, clock, steps, settle } = open();
  fence.begin();
  await clock.advance(0);
  await settle(new Error('no disk'));
  await clock.advance(199);
  expect(steps).toEqual(['load', 'load failed: Error: no disk']);
  await clock.advance(1);
  expect(steps.at(-1)).toBe('load');
  await clock.advance(1_000);
  expect(steps.at(-1)).toBe('load failed: Error: fence.load did not settle within 1000 ms');
  expect(fence.isRead).toBe(false);
  await clock.advance(200);
  // The answer that came too late is not used.
  await settle(9);
  expect(fence.isRead).toBe(false);
  await settle(3);
  expect([fence.isRead, fence.timeline]).toEqual([true, 3]);
});

test('what was seen before the store was read is stored once it was, if it is later', async () => {
  for (const [stored, stores] of [
    [3, ['store 4']],
    [4, []],
    [5, []],
  ] as const) {
    const { fence, clock, steps, settle } = open();
    fence.begin();
    fence.raise(4);
    await clock.advance(0);
    expect(steps).toEqual(['load']);
    await settle(stored);
    expect(steps.filter((step) => step.startsWith('store'))).toEqual(stores);
    expect(fence.timeline).toBe(Math.max(stored, 4));
  }
});

test('a new timeline is admitted once it is stored, and an earlier one is never stored', async () => {
  const { fence, clock, steps, settle } = await openRead(5);
  fence.raise(4);
  fence.raise(5);
  await clock.advance(0);
  expect(steps).toEqual([]);
  fence.raise(6);
  await clock.advance(0);
  expect([steps, fence.admits(6), fence.admits(5)]).toEqual([['store 6'], false, true]);
  await settle();
  expect([steps, fence.admits(6)]).toEqual([['store 6', 'progress'], true]);
  fence.raise(6);
  await clock.advance(10_000);
  expect(steps).toEqual(['store 6', 'progress']);
});

test('timelines are stored one after the other, and each is admitted only with its own', async () => {
  const { fence, clock, steps, settle } = await openRead();
  fence.raise(1);
  fence.raise(2);
  await clock.advance(0);
  expect(steps).toEqual(['store 1']);
  await settle();
  expect([fence.admits(1), fence.admits(2)]).toEqual([true, false]);
  fence.raise(2);
  await clock.advance(0);
  await settle();
  expect([steps, fence.admits(2)]).toEqual([['store 1', 'progress', 'store 2', 'progress'], true]);
});

test('a timeline that cannot be stored is not admitted, and is tried again until it is', async () => {
  const { fence, clock, steps, settle } = await openRead(1);
  fence.raise(2);
  await clock.advance(0);
  expect(fence.obstacle).toMatchObject({ seen: 'the fence has not stored timeline 2 yet' });
  const full = new Error('full');
  for (let failures = 1; failures <= 5; failures += 1) {
    await settle(full);
    expect(steps).toHaveLength(2 * failures);
    expect(steps.slice(-2)).toEqual(['store 2', 'store failed: Error: full']);
    expect([fence.admits(2), fence.admits(1)]).toEqual([false, true]);
    expect(fence.obstacle).toMatchObject({ cause: full });
    fence.raise(2);
    await clock.advance(199);
    expect(steps).toHaveLength(2 * failures);
    await clock.advance(1);
  }
  fence.raise(3);
  await settle();
  expect([fence.admits(2), fence.admits(3), steps.at(-1)]).toEqual([true, false, 'progress']);
  fence.raise(3);
  await clock.advance(0);
  await settle();
  expect([fence.admits(3), fence.obstacle]).toEqual([true, undefined]);
  await clock.advance(10_000);
  expect(steps.filter((step) => step === 'store 3')).toHaveLength(1);
});

test('a store that does not answer in time is not admitted either, nor is its late answer', async () => {
  const { fence, clock, steps, settle } = await openRead(1);
  fence.raise(2);
  await clock.advance(1_000);
  expect(steps.at(-1)).toBe('store failed: Error: fence.store did not settle within 1000 ms');
  await settle();
  expect(fence.admits(2)).toBe(false);
  await clock.advance(200);
  await settle();
  expect(fence.admits(2)).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test('after its end a fence admits nobody, tells nothing and leaves no timer', async () => {
  for (const late of [7, new Error('late')]) {
    const reading = open();
    reading.fence.begin();
    await reading.clock.advance(0);
    reading.fence.end();
    await reading.settle(late);
    expect(reading.steps).toEqual(['load']);
    expect(reading.fence.isRead).toBe(false);
    expect(reading.clock.pendingTimers).toBe(0);

    const storing = await openRead(1);
    storing.fence.raise(2);
    await storing.clock.advance(0);
    storing.fence.end();
    await storing.settle(late);
    expect(storing.steps).toEqual(['store 2']);
    expect(storing.clock.pendingTimers).toBe(0);
  }
  const retrying = open();
  retrying.fence.begin();
  await retrying.clock.advance(0);
  await retrying.settle(new Error('no disk'));
  retrying.fence.end();
  expect(retrying.clock.pendingTimers).toBe(0);
});
