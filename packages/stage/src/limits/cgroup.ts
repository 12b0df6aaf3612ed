import { constants, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCodeOf } from '../system/fields.ts';
import { exists } from '../system/files.ts';

/** A control group that limits the memory of its processes; the kernel kills them when they exceed it. */
export interface Cgroup {
  readonly path: string;
  /** Adds a process; its later child processes belong to the group too. */
  join(pid: number): Promise<void>;
  /** `undefined` removes the limit. */
  limit(bytes: number | undefined): Promise<void>;
  usedBytes(): Promise<number>;
}

/** Where a version of cgroups is mounted, and the names of its files (cgroups(7)). */
interface Hierarchy {
  readonly root: string;
  readonly limit: string;
  readonly used: string;
  readonly unlimited: string;
  /** Written once: memory that a process brings along counts too; all processes of a group are killed. */
  readonly setup: Readonly<Record<string, string>>;
}

const version2: Hierarchy = {
  root: '/sys/fs/cgroup',
  limit: 'memory.max',
  used: 'memory.current',
  unlimited: 'max',
  setup: { 'memory.oom.group': '1', 'memory.swap.max': '0' },
};
const version1: Hierarchy = {
  root: '/sys/fs/cgroup/memory',
  limit: 'memory.limit_in_bytes',
  used: 'memory.usage_in_bytes',
  unlimited: '-1',
  setup: { 'memory.move_charge_at_immigrate': '3' },
};

/**
 * Creates a group; `undefined` when this kernel has no memory cgroups, or this user may not create one.
 * @param beforeCreation receives its path before it exists.
 */
export async function createCgroup(
  name: string,
  beforeCreation: (path: string) => void,
): Promise<Cgroup | undefined> {
  const hierarchy = await usableHierarchy();
  if (hierarchy === undefined) return undefined;
  const path = join(hierarchy.root, name);
  beforeCreation(path);
  try {
    await mkdir(path);
  } catch {
    return undefined;
  }
  for (const [file, value] of Object.entries(hierarchy.setup)) {
    // The file for swap is absent on a machine without swap.
    await writeFile(join(path, file), value).catch(() => undefined);
  }
  return {
    path,
    join: (pid) => writeFile(join(path, 'cgroup.procs'), String(pid)).catch(ignoreMissingProcess),
    limit: (bytes) =>
      writeFile(
        join(path, hierarchy.limit),
        bytes === undefined ? hierarchy.unlimited : `${bytes}`,
      ),
    usedBytes: async () => Number(await readFile(join(path, hierarchy.used), 'latin1')),
  };
}

/** ESRCH: the process has ended meanwhile, as sessions of a Postgres do. */
function ignoreMissingProcess(error: unknown): void {
  if (errorCodeOf(error) !== 'ESRCH') throw error;
}

async function usableHierarchy(): Promise<Hierarchy | undefined> {
  const control = join(version2.root, 'cgroup.subtree_control');
  const enabled = await readFile(control, 'latin1').catch(() => '');
  if (enabled.split(/\s/).includes('memory')) return version2;
  const isWritable = await exists(join(version1.root, version1.limit), constants.W_OK);
  return isWritable ? version1 : undefined;
}

/** Removes a group whose processes have ended; does nothing when it does not exist. */
export async function removeCgroup(path: string): Promise<void> {
  await rmdir(path).catch(() => undefined);
}
