import { afterAll, expect, test } from '@jest/globals';
import { createMemoryCache } from '@holdfast/cache';
import { waitUntil } from '../../src/wait-until.ts';
import { type ChildEnd, childEnd, reportOf, startChild } from '../../src/limits/child.ts';
import { openContainer } from '../../src/limits/container.ts';
import type { MemoryOptions, MemoryReport } from '../../src/limits/memory-main.ts';
import { scenario } from '../../src/limits/scenario.ts';

const MIB = 1_048_576;
const CALLS = 40 * Number(process.env['HOLDFAST_RUNS'] ?? 1);
const container = await openContainer(200 * MIB);

afterAll(async () => {
  if (typeof container === 'string') return;
  // The kernel may still be taking the last process out.
  await waitUntil(() =>
    container.close().then(
      () => true,
      () => false,
    ),
  );
});

function run(options: MemoryOptions, nodeFlags: readonly string[], first?: string) {
  const spec = {
    main: 'memory-main.ts',
    options,
    nodeFlags,
    ...(first === undefined ? {} : { first }),
  };
  return childEnd<MemoryReport>(startChild(spec));
}

function hasDied({ code, signal }: ChildEnd<MemoryReport>): boolean {
  return signal === 'SIGABRT' || signal === 'SIGKILL' || code === 134 || code === 137;
}

test('prevents memory leaks: a bounded cache holds its 1,000 entries after 1,500 are set, and its bytes after 20,000', () => {
  const cache = createMemoryCache<object>({ maxEntries: 1_000, maxBytes: 16 * MIB });
  for (let at = 0; at < 1_500; at += 1) cache.set(`key${at}`, { data: at });
  expect(cache.getStats().entries).toBe(1_000);
  const bounded = createMemoryCache<string>({ maxBytes: MIB, maxEntries: 1_000_000 });
  let most = 0;
  for (let at = 0; at < 20_000; at += 1) {
    bounded.set(`key${at}`, 'x'.repeat(at % 1_000));
    most = Math.max(most, bounded.getStats().bytes);
  }
  expect(most).toBeLessThanOrEqual(MIB);
  expect(most).toBeGreaterThan(MIB / 2);
});

scenario(
  {
    promise: 'a burst of large JSON within one turn does not abort a process with a heap of 64 MB',
    fault: `--max-old-space-size=64, ${CALLS} texts of 1 MiB at once`,
  },
  async () => {
    const flags = ['--max-old-space-size=64'];
    const { served, codes, largestShare, heapLimitMib } = reportOf(
      await run({ guarded: true, kind: 'json', calls: CALLS }, flags),
    );
    const refused = Object.values(codes).reduce((sum, count) => sum + count, 0);
    expect(heapLimitMib).toBe(64);
    expect(served + refused).toBe(CALLS);
    expect(served).toBeGreaterThan(0);
    expect(
      Object.keys(codes).every((code) => /^NETWORK_(?:MEMORY|BUDGET)_EXHAUSTED$/.test(code)),
    ).toBe(true);
    const bare = await run({ guarded: false, kind: 'json', calls: CALLS }, flags);
    expect(hasDied(bare)).toBe(true);
    return {
      accepted: served,
      delivered: served,
      lost: 0,
      note: `${refused} refused in words, at most ${Math.round(largestShare * 100)} % of the old generation in use; without the guard the process dies (${bare.signal ?? bare.code})`,
    };
  },
);

scenario(
  {
    promise: 'buffers outside the heap do not get a process killed in a container of 200 MB',
    fault: `a control group of 200 MiB, ${CALLS} buffers of 8 MiB at once`,
    obstacle: typeof container === 'string' ? container : undefined,
  },
  async () => {
    const enter = typeof container === 'string' ? undefined : container.enter;
    const { served, codes, rssLimitMib, warning } = reportOf(
      await run({ guarded: true, kind: 'buffers', calls: CALLS }, [], enter),
    );
    const refused = Object.values(codes).reduce((sum, count) => sum + count, 0);
    expect(rssLimitMib).toBe(200);
    expect(served + refused).toBe(CALLS);
    expect(served).toBeGreaterThan(0);
    // V8 gives itself 256 MiB there.
    expect(warning).toContain('--max-old-space-size=120');
    const bare = await run({ guarded: false, kind: 'buffers', calls: CALLS }, [], enter);
    expect(hasDied(bare)).toBe(true);
    return {
      accepted: served,
      delivered: served,
      lost: 0,
      note: `${refused} refused in words; without the guard the process dies (${bare.signal ?? bare.code})`,
    };
  },
);
