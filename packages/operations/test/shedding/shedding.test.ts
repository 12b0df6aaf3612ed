import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  LoadShedError,
  type LoadShedderOptions,
  type PriorityClass,
  createLoadShedder,
  descriptorShare,
  diskShare,
  memoryShare,
} from '@holdfast/operations';
import { calm, nextDelay } from '../../src/shedding/codel.ts';
import { nextLevel } from '../../src/shedding/watermarks.ts';

function shedderOf(options: LoadShedderOptions = {}) {
  const clock = createFakeClock();
  const shedder = createLoadShedder({ clock, initialLimit: 10, ...options });
  const ends: (() => void)[] = [];
  const outcomes: string[] = [];
  /** Starts a request that runs until it is ended. */
  const start = (name: string, priority: PriorityClass = 'normal'): void => {
    const work = (): Promise<void> => {
      outcomes.push(`${name} runs`);
      return new Promise((resolve) => ends.push(resolve));
    };
    shedder.execute(work, { priority }).catch((error: unknown) => {
      if (error instanceof LoadShedError) outcomes.push(`${name} ${error.reason}`);
    });
  };
  return { clock, shedder, ends, outcomes, start };
}

describe('classes', () => {
  test('a class takes no more than its share, and the rest stays for those above', async () => {
    const { clock, shedder, start } = shedderOf();
    for (let count = 0; count < 20; count += 1) start(`b${count}`, 'background');
    await clock.advance(1);
    expect(shedder.getStats()).toMatchObject({ running: 5, waiting: 15 });
    for (let count = 0; count < 20; count += 1) start(`n${count}`, 'normal');
    await clock.advance(1);
    expect(shedder.getStats().running).toBe(9);
    start('c', 'critical');
    await clock.advance(1);
    expect(shedder.getStats().running).toBe(10);
  });

  test('the most important that waits is served first', async () => {
    const { clock, ends, outcomes, start } = shedderOf({ initialLimit: 1, maxLimit: 1 });
    start('first');
    start('background', 'background');
    start('normal');
    start('critical', 'critical');
    for (let turn = 0; turn < 4; turn += 1) {
      await clock.advance(1);
      ends.shift()?.();
    }
    await clock.advance(1);
    expect(outcomes).toEqual(['first runs', 'critical runs', 'normal runs', 'background runs']);
  });

  test('in a full queue the oldest of the lowest class gives way to one that is more important', async () => {
    const { clock, outcomes, start } = shedderOf({ initialLimit: 1, maxLimit: 1, maxWaiting: 2 });
    start('first');
    start('b1', 'background');
    start('b2', 'background');
    start('critical', 'critical');
    start('b3', 'background');
    await clock.advance(1);
    expect(outcomes.toSorted()).toEqual(['b1 queue-full', 'b3 queue-full', 'first runs']);
  });
});

describe('waiting', () => {
  test('none waits longer than maxWaitMs, and what is refused was never started', async () => {
    const { clock, shedder, outcomes, start } = shedderOf({ initialLimit: 1, maxLimit: 1 });
    start('first');
    start('second');
    await clock.advance(499);
    expect(outcomes).toEqual(['first runs']);
    await clock.advance(1);
    expect(outcomes).toEqual(['first runs', 'second waited-too-long']);
    expect(shedder.getStats().shed).toEqual({ critical: 0, normal: 1, background: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  test('waits that stay above the target are overload: the newest is served, the others are refused soon', async () => {
    const { clock, shedder, ends, outcomes, start } = shedderOf({ initialLimit: 1, maxLimit: 1 });
    start('running');
    for (let count = 0; count < 8; count += 1) start(`old${count}`);
    for (let turn = 0; turn < 5; turn += 1) {
      await clock.advance(40);
      ends.shift()?.();
    }
    await clock.advance(1);
    expect(shedder.getStats().isOverloaded).toBe(true);
    outcomes.length = 0;
    start('older');
    start('newest');
    ends.shift()?.();
    await clock.advance(1);
    expect(outcomes).toEqual(['newest runs']);
    await clock.advance(20);
    expect(outcomes).toContain('older waited-too-long');
  });

  test('a burst that empties now and then is no overload', () => {
    const limits = { targetWaitMs: 20, overloadAfterMs: 100 };
    let state = calm;
    for (let nowMs = 0; nowMs < 1_000; nowMs += 50) {
      state = nextDelay(state, nowMs % 100 === 0 ? 80 : 5, nowMs, limits);
      expect(state.isOverloaded).toBe(false);
    }
    for (let nowMs = 1_000; nowMs <= 1_100; nowMs += 50)
      state = nextDelay(state, 80, nowMs, limits);
    expect(state.isOverloaded).toBe(true);
  });

  test('an abort ends the wait with its own reason', async () => {
    const { clock, shedder, start } = shedderOf({ initialLimit: 1, maxLimit: 1 });
    start('first');
    const abort = new AbortController();
    const waiting = shedder.execute(() => 'never', { signal: abort.signal });
    abort.abort(new Error('the client left'));
    await expect(waiting).rejects.toThrow('the client left');
    expect(shedder.getStats().waiting).toBe(0);
    await clock.advance(1_000);
    expect(clock.pendingTimers).toBe(0);
  });

  test('after close what waits and what comes is refused, and what runs ends', async () => {
    const { clock, shedder, ends, outcomes, start } = shedderOf({ initialLimit: 1, maxLimit: 1 });
    start('running');
    start('waiting');
    shedder.close();
    start('late');
    ends.shift()?.();
    await clock.advance(1);
    expect(outcomes.toSorted()).toEqual(['late closed', 'running runs', 'waiting closed']);
    expect(shedder.getStats().served.normal).toBe(1);
  });
});

describe('watermarks', () => {
  test('a short resource refuses the lower classes first, and comes back only clearly below its mark', async () => {
    let used = 0.5;
    const { clock, shedder } = shedderOf({ watermarks: { memory: { read: () => used } } });
    const levels: string[] = [];
    shedder.on('pressure', ({ level, resource }) => levels.push(`${resource} ${level}`));
    const refused = async (): Promise<string[]> => {
      await clock.advance(100);
      const kinds: string[] = [];
      for (const priority of ['critical', 'normal', 'background'] as const) {
        await shedder.execute(() => {}, { priority }).catch(() => kinds.push(priority));
      }
      return kinds;
    };
    expect(await refused()).toEqual([]);
    used = 0.9;
    expect(await refused()).toEqual(['background']);
    used = 0.96;
    expect(await refused()).toEqual(['normal', 'background']);
    used = 0.91;
    expect(await refused()).toEqual(['normal', 'background']);
    used = 0.81;
    expect(await refused()).toEqual(['background']);
    used = 0.7;
    expect(await refused()).toEqual([]);
    expect(levels).toEqual(['memory high', 'memory critical', 'memory high', 'memory normal']);
  });

  test('what is not known is not zero: the last level holds', async () => {
    let read = (): number | undefined => 0.9;
    const { clock, shedder } = shedderOf({ watermarks: { disk: { read: () => read() } } });
    const background = () => shedder.execute(() => 'ran', { priority: 'background' });
    await expect(background()).rejects.toThrow(LoadShedError);
    read = () => undefined;
    await clock.advance(100);
    await expect(background()).rejects.toThrow(LoadShedError);
    read = () => {
      throw new Error('EIO');
    };
    await clock.advance(100);
    await expect(background()).rejects.toThrow(LoadShedError);
  });

  test('the limits of the machine are read by their shape', () => {
    const memory = { heapUsed: 10, heapLimit: 100, rss: 80, rssLimit: 100 };
    expect(memoryShare({ getStats: () => memory })).toBe(0.8);
    expect(descriptorShare({ getStats: () => ({ inUse: 3, limit: 4 }) })).toBe(0.75);
    const reading = { freeBytes: 25, totalBytes: 100 };
    expect(diskShare({ getStats: () => ({ reading }) })).toBe(0.75);
    expect(diskShare({ getStats: () => ({ reading: undefined }) })).toBeUndefined();
    expect(nextLevel('high', 0.81, { high: 0.85, critical: 0.95 })).toBe('high');
  });

  test('marks in the wrong order, and times that cannot be, are refused', () => {
    const read = (): number => 0;
    expect(() => shedderOf({ watermarks: { disk: { read, high: 0.9, critical: 0.8 } } })).toThrow(
      'watermarks.disk.critical',
    );
    expect(() => shedderOf({ targetWaitMs: 600 })).toThrow('targetWaitMs');
  });
});
