import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A control group with a limit of memory, as a container has. */
export interface Container {
  /** What a shell runs to get into it. */
  readonly enter: string;
  /** Removes it, once its processes have ended. */
  close(): Promise<void>;
}

const versions = [
  { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  { root: '/sys/fs/cgroup', limit: 'memory.max' },
] as const;

/** @returns the container, or why this machine cannot have one. */
export async function openContainer(maxBytes: number): Promise<Container | string> {
  let reason = 'no control groups for memory';
  for (const { root, limit } of versions) {
    const path = join(root, `holdfast-limits-${process.pid}`);
    try {
      await mkdir(path);
    } catch (error) {
      reason = `a control group takes root: ${String(error)}`;
      continue;
    }
    try {
      await writeFile(join(path, limit), String(maxBytes));
      // Without swap, where there is any.
      await writeFile(join(path, 'memory.swap.max'), '0').catch(() => undefined);
      return { enter: `echo $$ > ${path}/cgroup.procs`, close: () => rmdir(path) };
    } catch (error) {
      reason = `no limit of memory: ${String(error)}`;
      await rmdir(path);
    }
  }
  return reason;
}
