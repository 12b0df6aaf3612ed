import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { afterEach, expect, jest, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type MemoryReading, createMemoryGuard } from '@holdfast/network/limits';
import {
  containerLimit,
  oldSpaceLimit,
  oldSpaceUsed,
} from '../../src/limits/memory/memory-readings.ts';

const MIB = 1_048_576;
const reasonOf = (error: unknown): unknown => error;

function guardOf(start: Partial<MemoryReading> = {}, options: { intervalMs?: number } = {}) {
  const clock = createFakeClock();
  const now = { heapUsed: 0, heapLimit: 100 * MIB, rss: 0, rssLimit: undefined, ...start };
  const guard = createMemoryGuard({ read: () => ({ ...now }), clock, ...options });
  const use = (heapMib: number, rssMib = 0): void => {
    now.heapUsed = heapMib * MIB;
    now.rss = rssMib * MIB;
  };
  return { guard, clock, use };
}

test('the old generation is judged by its own limit, not by one that includes the young one', async () => {
  // The three settings at which used / heap_size_limit was 0.24, 0.57 and 0.83 when the process died.
  for (const oldMib of [64, 256, 1_024]) {
    const flags = `--max-old-space-size=${oldMib}`;
    expect(oldSpaceLimit((oldMib + 192) * MIB, flags)).toBe(oldMib * MIB);
  }
  expect(oldSpaceLimit(268 * MIB, '--max_semi_space_size=4 --max-old-space-size 256')).toBe(
    256 * MIB,
  );
  expect(oldSpaceLimit(4_120 * MIB, '--max-semi-space-size=8')).toBe(4_096 * MIB);
  // Without flags, by the memory: as measured in control groups of 200, 700 and 2,000 MiB.
  expect(oldSpaceLimit(259 * MIB, '', 200 * MIB)).toBe(256 * MIB);
  expect(oldSpaceLimit(398 * MIB, '', 700 * MIB)).toBe(350 * MIB);
  expect(oldSpaceLimit(1_024 * MIB, '', 2_000 * MIB)).toBe(1_000 * MIB);
  expect(oldSpaceLimit(2_240 * MIB, '', 8_192 * MIB)).toBe(2_048 * MIB);
  // What nobody has measured is judged with the largest young generation.
  expect(oldSpaceLimit(1_000 * MIB, '', 200 * MIB)).toBe(808 * MIB);
});

test('the limit of this process is that of V8 itself', async () => {
  const report = `require('node:worker_threads').parentPort.postMessage(
    require('node:worker_threads').resourceLimits.maxYoungGenerationSizeMb)`;
  const worker = new Worker(report, { eval: true, execArgv: [] });
  const [youngMib]: number[] = await once(worker, 'message');
  await worker.terminate();
  const hasFlags = /max[-_](?:semi|old)/.test(
    [...process.execArgv, process.env['NODE_OPTIONS']].join(' '),
  );
  const limit = oldSpaceLimit();
  // A worker has the sizes that this process would have without flags.
  expect(hasFlags ? 0 : limit).toBe(
    hasFlags ? 0 : getHeapStatistics().heap_size_limit - (youngMib ?? 0) * MIB,
  );
  expect(oldSpaceUsed()).toBeGreaterThan(MIB);
  expect(oldSpaceUsed()).toBeLessThan(getHeapStatistics().used_heap_size * 1.5);
});

test('bytes are admitted before they are buffered: a burst within one turn stays within the bound', async () => {
  const { guard } = guardOf();
  let running = 0;
  let most = 0;
  const finish: (() => void)[] = [];
  const calls = Array.from({ length: 10 }, () =>
    guard.admit(10 * MIB, async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => finish.push(resolve));
      running -= 1;
    }),
  );
  await new Promise((resolve) => setImmediate(resolve));
  // A quarter of 100 MiB.
  expect(guard.getStats()).toMatchObject({ admittedBytes: 20 * MIB });
  while (finish.length > 0) {
    finish.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.allSettled(calls);
  expect(most).toBe(2);
});

test('near the limit an admission is refused with both numbers, and low priority earlier', async () => {
  const { guard, use } = guardOf();
  use(90);
  await expect(guard.admit(MIB, () => 1, { priority: 'low' })).rejects.toMatchObject({
    code: 'NETWORK_MEMORY_EXHAUSTED',
    usedBytes: 90 * MIB,
    limitBytes: 100 * MIB,
    retryable: true,
  });
  expect(await guard.admit(MIB, () => 1)).toBe(1);
  await expect(guard.admit(6 * MIB, () => 1)).rejects.toMatchObject({ usedBytes: 90 * MIB });
  use(50);
  expect(await guard.admit(6 * MIB, () => 1)).toBe(1);
  expect(guard.getStats()).toMatchObject({ refused: 2, admittedBytes: 0 });
});

test('what is admitted later is judged by the memory of then', async () => {
  const { guard, use } = guardOf();
  let finish: () => void = () => undefined;
  const first = guard.admit(20 * MIB, () => new Promise<void>((resolve) => (finish = resolve)));
  const second = guard.admit(20 * MIB, () => 1).catch(reasonOf);
  await new Promise((resolve) => setImmediate(resolve));
  use(94);
  finish();
  await first;
  expect(await second).toMatchObject({ code: 'NETWORK_MEMORY_EXHAUSTED' });
  expect(guard.getStats().admittedBytes).toBe(0);
});

test('buffers outside the heap count against the memory of the process', async () => {
  const { guard, use } = guardOf({ rssLimit: 200 * MIB });
  use(2, 190);
  guard.check();
  expect(guard.level).toBe('refuse');
  await expect(guard.admit(MIB, () => 1)).rejects.toMatchObject({
    limitBytes: 200 * MIB,
    message: expect.stringContaining('rss'),
  });
});

test('levels rise at once and fall only below their mark', async () => {
  const { guard, use, clock } = guardOf({}, { intervalMs: 100 });
  const levels: string[] = [];
  const wanted: number[] = [];
  guard.on('level', ({ level }) => levels.push(level));
  guard.on('evict', ({ amount }) => wanted.push(amount / MIB));
  for (const heap of [50, 72, 69, 71, 64, 86, 96, 91, 50]) {
    use(heap);
    await clock.advance(100);
  }
  expect(levels).toEqual(['evict', 'free', 'shed', 'refuse', 'free']);
  expect(wanted).toEqual([2, 1, 16, 26, 21].map((mib) => expect.closeTo(mib, 3)));
  guard.close();
  expect(clock.pendingTimers).toBe(0);
});

test('a heap that may outgrow its container is warned of at the start, with the flag to set', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  try {
    const { guard } = guardOf({ heapLimit: 256 * MIB, rssLimit: 200 * MIB });
    expect(guard.getStats().warning).toContain('--max-old-space-size=120');
    expect(warn).toHaveBeenCalledTimes(1);
    expect(
      guardOf({ heapLimit: 120 * MIB, rssLimit: 200 * MIB }).guard.getStats().warning,
    ).toBeUndefined();
    expect(guardOf({ heapLimit: 4_096 * MIB }).guard.getStats().warning).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(1);
  } finally {
    warn.mockRestore();
  }
});

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

/** Files of control groups, by their path; `cgroup` is that of the process. */
async function containerOf(files: Readonly<Record<string, string>>, constrained = 2 ** 64) {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-cgroup-'));
  folders.push(root);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return containerLimit({ constrained, cgroupFile: join(root, 'cgroup'), root });
}

test('the limit of the container is the smallest of its groups, of version 1 or 2, or none', async () => {
  const v2 = { cgroup: '0::/a/b\n', 'a/b/memory.max': 'max\n' };
  expect(await containerOf(v2)).toBeUndefined();
  expect(await containerOf({ ...v2, 'a/memory.max': '209715200\n' })).toBe(209_715_200);
  expect(await containerOf({ ...v2, 'a/b/memory.high': '100\n' })).toBe(100);
  // Inside a container its group is the root.
  expect(await containerOf({ cgroup: '0::/not/seen\n', 'memory.max': '300\n' })).toBe(300);
  const v1 = { cgroup: '9:cpu,cpuacct:/x\n4:memory:/a\n0::/\n' };
  expect(await containerOf({ ...v1, 'memory/a/memory.limit_in_bytes': '400\n' })).toBe(400);
  const none = '9223372036854771712\n';
  expect(await containerOf({ ...v1, 'memory/a/memory.limit_in_bytes': none })).toBeUndefined();
  // 2^44 MiB, 0 and undefined of Node mean none.
  expect(await containerOf({}, 2 ** 64)).toBeUndefined();
  expect(await containerOf({}, 0)).toBeUndefined();
  expect(await containerOf({}, 500)).toBe(500);
  expect(await containerOf({ ...v1, 'memory/memory.limit_in_bytes': '400\n' }, 500)).toBe(400);
});

test('a closed guard admits nothing', async () => {
  const { guard } = guardOf();
  guard.close();
  await expect(guard.admit(1, () => 1)).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
});

test.each([
  [{ maxRssBytes: 1 }, 'maxRssBytes'],
  [{ shedAt: 1.1 }, 'shedAt'],
  [{ evictAt: 0.9, shedAt: 0.8 }, 'shedAt'],
  [{ intervalMs: 0 }, 'intervalMs'],
  [{ limit: 1 }, 'limit'],
])('createMemoryGuard(%j) is refused by the name of %s', (options, field) => {
  expect(() => Reflect.apply(createMemoryGuard, undefined, [options])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test.each([-1, 1.5, Number.NaN])('an admission of %d bytes is refused', async (bytes) => {
  const { guard } = guardOf();
  await expect(guard.admit(bytes, () => 1)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
});
