import { access, constants, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { types } from 'node:util';

/** A control group of the kernel that bounds the memory of its processes, and kills one beyond it. */
export interface Cgroup {
  readonly path: string;
  /** Takes in a process; those it starts from then on belong to it too. */
  join(pid: number): Promise<void>;
  /** `undefined` lifts the bound. */
  limit(bytes: number | undefined): Promise<void>;
  usedBytes(): Promise<number>;
}

/** Where a kernel keeps them, and what their files are called (cgroups(7)). */
interface Hierarchy {
  readonly root: string;
  readonly limit: string;
  readonly used: string;
  readonly unlimited: string;
  /** Written once: what a process brings along counts too; all of a group die together. */
  readonly setup: Readonly<Record<string, string>>;
}

const second: Hierarchy = {
  root: '/sys/fs/cgroup',
  limit: 'memory.max',
  used: 'memory.current',
  unlimited: 'max',
  setup: { 'memory.oom.group': '1', 'memory.swap.max': '0' },
};
const first: Hierarchy = {
  root: '/sys/fs/cgroup/memory',
  limit: 'memory.limit_in_bytes',
  used: 'memory.usage_in_bytes',
  unlimited: '-1',
  setup: { 'memory.move_charge_at_immigrate': '3' },
};

/**
 * A new group; `undefined` where this kernel has none for memory, or this user may not make one.
 * @param announce is told its path before it is there.
 */
export async function createCgroup(
  name: string,
  announce: (path: string) => void,
): Promise<Cgroup | undefined> {
  const hierarchy = await usable();
  if (hierarchy === undefined) return undefined;
  const path = join(hierarchy.root, name);
  announce(path);
  try {
    await mkdir(path);
  } catch {
    return undefined;
  }
  for (const [file, value] of Object.entries(hierarchy.setup)) {
    // Without swap the files for it are missing.
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
  const code = types.isNativeError(error) && 'code' in error ? error.code : undefined;
  if (code !== 'ESRCH') throw error;
}

async function usable(): Promise<Hierarchy | undefined> {
  const enabled = await readFile(join(second.root, 'cgroup.subtree_control'), 'latin1').catch(
    () => '',
  );
  if (enabled.split(/\s/).includes('memory')) return second;
  return access(join(first.root, first.limit), constants.W_OK).then(
    () => first,
    () => undefined,
  );
}

/** Removes a group whose processes have ended; one that is gone already is none of its business. */
export async function removeCgroup(path: string): Promise<void> {
  await rmdir(path).catch(() => undefined);
}
