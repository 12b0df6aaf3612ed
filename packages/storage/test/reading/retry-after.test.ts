import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { fail } from '../../src/backend.ts';
import { createMemoryBackend } from '../../src/backends/memory.ts';
import { type TestStorage, openTestStorage, textAt } from '../open-storage.ts';

const BUSY_MS = 1_500;

/** The primary, or both backends, with an object; reads are asked to wait from now on, until the given time. */
async function busy(
  retryAfterMs: number,
  hasMirror: boolean,
): Promise<TestStorage & { readonly calls: number[] }> {
  const clock = createFakeClock();
  const primary = createMemoryBackend({ name: 'primary', clock });
  const mirror = createMemoryBackend({ name: 'mirror', clock });
  const backends = hasMirror ? [primary, mirror] : [primary];
  const opened = await openTestStorage({ backends }, { clock, primary, mirror });
  await clock.settle(opened.storage.upload('k', 'x'));
  expect(await clock.settle(opened.storage.flush({ deadlineMs: 60_000 }))).toBe(0);
  const calls: number[] = [];
  const freeAtMs = clock.now() + retryAfterMs;
  primary.intercept = ({ kind }) => {
    if (kind === 'put' || kind === 'remove') return undefined;
    calls.push(clock.now());
    const restMs = freeAtMs - clock.now();
    if (restMs <= 0) return undefined;
    return { before: fail('transient', 'HTTP 429 SlowDown', { retryAfterMs: restMs }) };
  };
  return { ...opened, calls };
}

const reads: [string, (one: TestStorage) => Promise<unknown>][] = [
  ['download', async ({ storage }) => (await storage.download('k')).from],
  ['info', async ({ storage }) => (await storage.info('k')).from],
  ['list', async ({ storage }) => (await storage.list('')).from],
];

test.each(reads)(
  'a %s goes to the next backend at once, and to the first again only after its Retry-After',
  async (_, read) => {
    const one = await busy(BUSY_MS, true);
    const { clock, calls, storage } = one;
    const startedMs = clock.now();
    for (let each = 0; each < 5; each += 1) expect(await read(one)).toBe('mirror');
    expect(clock.now()).toBe(startedMs);
    expect(calls).toEqual([startedMs]);
    await clock.advance(BUSY_MS);
    expect(await read(one)).toBe('primary');
    await clock.settle(storage.close());
  },
);

test.each(reads)(
  'a %s that no other backend answers waits for a short Retry-After, once',
  async (_, read) => {
    const one = await busy(BUSY_MS, false);
    const { clock, calls, storage } = one;
    const startedMs = clock.now();
    expect(await clock.settle(read(one))).toBe('primary');
    expect(calls).toEqual([startedMs, startedMs + BUSY_MS]);
    await clock.settle(storage.close());
  },
);

test.each(reads)(
  'a %s does not wait for a long Retry-After: its error states it',
  async (_, read) => {
    const one = await busy(60_000, false);
    const { clock, calls, storage } = one;
    const startedMs = clock.now();
    await expect(read(one)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      retryAfterMs: 60_000,
    });
    await expect(read(one)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(clock.now()).toBe(startedMs);
    expect(calls).toEqual([startedMs]);
    await clock.settle(storage.close());
  },
);

test('a backend that asks reads to wait for an hour is asked again within the longest opening of a circuit', async () => {
  const one = await busy(3_600_000, false);
  const { clock, calls, storage } = one;
  await expect(storage.download('k')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  await clock.advance(60_000);
  await expect(storage.download('k')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  expect(calls).toHaveLength(2);
  // Writes go on: they are asked to wait by their own answers.
  await storage.upload('k', 'y');
  expect(textAt(one.primary, 'k')).toBe('y');
  await clock.settle(storage.close());
});

test('whoever gives up while a read waits is answered at once with the own reason, and nothing is left', async () => {
  const one = await busy(BUSY_MS, false);
  const { clock, storage } = one;
  const timers = clock.pendingTimers;
  const giving = new AbortController();
  const reason = new Error('gave up');
  const reading = storage.download('k', { signal: giving.signal }).catch((error: unknown) => error);
  await clock.advance(BUSY_MS / 2);
  giving.abort(reason);
  expect(await reading).toBe(reason);
  expect(clock.pendingTimers).toBe(timers);
  await clock.settle(storage.close());
});
