import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type DiskReading,
  createDiskGuard,
  createMemoryGuard,
  createResourceManager,
} from '@holdfast/network/limits';

const MIB = 1_048_576;

function worldOf() {
  const clock = createFakeClock();
  const heap = { usedMib: 10 };
  const disk = { freeBytes: 500, totalBytes: 1_000, freeInodes: 50, totalInodes: 100 };
  const memory = createMemoryGuard({
    clock,
    intervalMs: 3_600_000,
    read: () => ({
      heapUsed: heap.usedMib * MIB,
      heapLimit: 100 * MIB,
      rss: 0,
      rssLimit: undefined,
    }),
  });
  const diskGuard = createDiskGuard({
    directory: '/data',
    clock,
    intervalMs: 3_600_000,
    read: async (): Promise<DiskReading> => ({ ...disk }),
  });
  return { clock, heap, disk, memory, diskGuard };
}

test('Memory management: high memory evicts old entries and then forces a garbage collection, low memory neither', async () => {
  const { clock, heap, memory } = worldOf();
  const done: string[] = [];
  const manager = createResourceManager({
    memory,
    clock,
    intervalMs: 0,
    evictOldEntries: () => done.push('evictOldEntries'),
    forceGarbageCollection: () => done.push('forceGarbageCollection'),
  });
  await manager.manageResources();
  expect(manager.isMemoryHigh()).toBe(false);
  expect(done).toEqual([]);
  heap.usedMib = 80;
  expect(manager.isMemoryHigh()).toBe(true);
  await manager.manageResources();
  // A collection stops the process: not with each round.
  await manager.manageResources();
  expect(done).toEqual(['evictOldEntries', 'forceGarbageCollection', 'evictOldEntries']);
  await clock.advance(10_000);
  await manager.manageResources();
  expect(done.filter((step) => step === 'forceGarbageCollection')).toHaveLength(2);
});

test('Disk space management: a low disk removes old logs, and compresses old data only while it is low', async () => {
  const { clock, disk, diskGuard } = worldOf();
  const done: string[] = [];
  let frees = 0;
  const manager = createResourceManager({
    disk: diskGuard,
    clock,
    intervalMs: 0,
    removeOldLogs: () => {
      done.push('removeOldLogs');
      disk.freeBytes += frees;
    },
    compressOldData: () => done.push('compressOldData'),
  });
  await manager.manageResources();
  expect(done).toEqual([]);
  disk.freeInodes = 15;
  expect(await manager.isDiskSpaceLow()).toBe(true);
  await manager.manageResources();
  expect(done).toEqual(['removeOldLogs', 'compressOldData']);
  done.length = 0;
  Object.assign(disk, { freeInodes: 50, freeBytes: 150 });
  frees = 100;
  await manager.manageResources();
  expect(done).toEqual(['removeOldLogs']);
});

test('Connection pool and thread pool management run each time, and one that fails or hangs does not keep back the others', async () => {
  const clock = createFakeClock();
  const failure = new Error('pool');
  const manager = createResourceManager({
    clock,
    intervalMs: 0,
    stepTimeoutMs: 1_000,
    optimizeConnectionPool: () => {
      throw failure;
    },
    adjustPoolSize: () => new Promise(() => undefined),
  });
  const failed: string[] = [];
  manager.on('failed', ({ step }) => failed.push(step));
  const report = await clock.settle(manager.manageResources());
  expect(report).toEqual({
    done: [],
    failed: [
      { step: 'optimizeConnectionPool', error: failure },
      { step: 'adjustPoolSize', error: expect.objectContaining({ name: 'TimeoutError' }) },
    ],
  });
  expect(failed).toEqual(['optimizeConnectionPool', 'adjustPoolSize']);
  expect(clock.pendingTimers).toBe(0);
});

test('implementBackpressure: a long queue slows down incoming requests, a longer one sheds load, a short one resumes', async () => {
  let size = 10;
  const done: string[] = [];
  const manager = createResourceManager({
    intervalMs: 0,
    backpressure: {
      queueSize: async () => size,
      backpressureThreshold: 100,
      shedLoadThreshold: 200,
      slowDown: () => done.push('slowDown'),
      shedLoad: () => done.push('shedLoad'),
      resume: () => done.push('resume'),
    },
  });
  for (size of [10, 101, 201, 60, 50, 10]) await manager.implementBackpressure();
  expect(done).toEqual(['slowDown', 'slowDown', 'shedLoad', 'resume']);
});

test('a queue whose size cannot be read is reported, and load is neither slowed nor shed', async () => {
  const done: string[] = [];
  const failure = new Error('queue is gone');
  const manager = createResourceManager({
    intervalMs: 0,
    backpressure: {
      queueSize: () => Promise.reject(failure),
      backpressureThreshold: 1,
      shedLoadThreshold: 1,
      slowDown: () => done.push('slowDown'),
      shedLoad: () => done.push('shedLoad'),
    },
  });
  expect(await manager.implementBackpressure()).toEqual({
    done: [],
    failed: [{ step: 'reading', error: failure }],
  });
  expect(done).toEqual([]);
});

test('both are done at the interval, never twice at a time, until it is closed', async () => {
  const clock = createFakeClock();
  let running = 0;
  let most = 0;
  let runs = 0;
  const finish: (() => void)[] = [];
  const manager = createResourceManager({
    clock,
    intervalMs: 1_000,
    async adjustPoolSize() {
      running += 1;
      runs += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => finish.push(resolve));
      running -= 1;
    },
  });
  await clock.advance(1_000);
  const joined = manager.manageResources();
  await clock.advance(3_000);
  expect({ runs, most }).toEqual({ runs: 1, most: 1 });
  finish.shift()?.();
  await joined;
  await clock.advance(1_000);
  expect(runs).toBe(2);
  manager.close();
  await clock.advance(5_000);
  expect({ runs, timers: clock.pendingTimers }).toEqual({ runs: 2, timers: 0 });
});

test.each([
  [{ intervalMs: -1 }, 'intervalMs'],
  [{ memory: {} }, 'memory'],
  [{ removeOldLogs: 'rm' }, 'removeOldLogs'],
  [{ cleanup: {} }, 'cleanup'],
  [
    {
      backpressure: {
        queueSize: () => 1,
        backpressureThreshold: 2,
        shedLoadThreshold: 1,
        slowDown: () => 1,
        shedLoad: () => 1,
      },
    },
    'backpressure.shedLoadThreshold',
  ],
  [{ backpressure: { queueSize: 5 } }, 'backpressure.queueSize'],
])('createResourceManager is refused by the name of the option (%#)', (options, field) => {
  expect(() => Reflect.apply(createResourceManager, undefined, [options])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});
