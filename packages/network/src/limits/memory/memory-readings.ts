import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { isMainThread, resourceLimits } from 'node:worker_threads';
import { environment } from '@holdfast/foundation';

const MIB = 1_048_576;
/** Sizes of the young generation that V8 chooses: three semi-spaces, each a power of two. */
const YOUNG_MIB: ReadonlySet<number> = new Set([1.5, 3, 6, 12, 24, 48, 96, 192]);
/** Larger values mean that there is no limit (2^63 rounded to pages in cgroups v1, 2^64 in Node). */
const NO_LIMIT = 2 ** 44 * MIB;
/** V8 gives up on these as a whole; the others are collected by themselves, or shared. */
const OUTSIDE_OLD = /^(?:new_|read_only|shared_)/;

/**
 * How much of the heap may survive: `heap_size_limit` without the young generation, which V8 does not let the old one
 * use. Near this the process aborts.
 */
export function oldSpaceLimit(
  heapLimitBytes: number = getHeapStatistics().heap_size_limit,
  flags: string = [...process.execArgv, environment['NODE_OPTIONS'] ?? ''].join(' '),
  memoryBytes: number = Math.min(totalmem(), containerLimit() ?? Infinity),
): number {
  if (!isMainThread && (resourceLimits.maxYoungGenerationSizeMb ?? 0) > 0) {
    return heapLimitBytes - (resourceLimits.maxYoungGenerationSizeMb ?? 0) * MIB;
  }
  const semiSpace = flagMib('max-semi-space-size', flags);
  if (semiSpace !== undefined) return heapLimitBytes - 3 * semiSpace * MIB;
  const oldSpace = flagMib('max-old-space-size', flags);
  if (oldSpace !== undefined) return Math.min(heapLimitBytes, oldSpace * MIB);
  // V8 gives the old generation half of the memory, from 256 MiB to 2 GiB, or 4 GiB on a machine with 15.
  const mostMib = memoryBytes >= 15 * 1_024 * MIB ? 4_096 : 2_048;
  const oldMib = Math.floor(Math.min(mostMib, Math.max(256, memoryBytes / 2 / MIB)));
  const youngMib = Math.round(heapLimitBytes / MIB - oldMib);
  if (YOUNG_MIB.has(youngMib)) return oldMib * MIB;
  return Math.max(heapLimitBytes / 2, heapLimitBytes - 192 * MIB);
}

/** What is in use of what {@link oldSpaceLimit} limits. */
export function oldSpaceUsed(): number {
  let used = 0;
  for (const { space_name: name, space_used_size: size } of getHeapSpaceStatistics()) {
    if (!OUTSIDE_OLD.test(name)) used += size;
  }
  return used;
}

function flagMib(name: string, flags: string): number | undefined {
  const pattern = new RegExp(`--${name.replaceAll('-', '[-_]')}[= ](\\d+)`, 'g');
  const value = Number([...flags.matchAll(pattern)].at(-1)?.[1]);
  return value > 0 ? value : undefined;
}

interface CgroupFiles {
  readonly constrained?: number;
  readonly cgroupFile?: string;
  readonly root?: string;
}

/**
 * The memory that the container has, in bytes; `undefined` without a limit. The smallest limit of the process's cgroup
 * and of those above it, of version 1 or 2, and what Node itself knows.
 */
export function containerLimit({
  constrained = process.constrainedMemory(),
  cgroupFile = '/proc/self/cgroup',
  root = '/sys/fs/cgroup',
}: CgroupFiles = {}): number | undefined {
  const limits = [constrained];
  for (const line of read(cgroupFile).split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isVersion2 = controllers === '';
    if (path === undefined || !(isVersion2 || controllers?.split(',').includes('memory'))) continue;
    const folder = isVersion2 ? root : `${root}/memory`;
    const files = isVersion2 ? ['memory.max', 'memory.high'] : ['memory.limit_in_bytes'];
    const parts = path.split('/').filter((part) => part !== '');
    for (let depth = 0; depth <= parts.length; depth += 1) {
      const group = [folder, ...parts.slice(0, depth)].join('/');
      for (const file of files) limits.push(Number.parseInt(read(`${group}/${file}`), 10));
    }
  }
  // In a container the files are mounted without the path that the file of the process names.
  const least = Math.min(
    ...limits.filter((limit) => limit > 0 && limit < Math.min(NO_LIMIT, 2 ** 62)),
  );
  return Number.isFinite(least) ? least : undefined;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
