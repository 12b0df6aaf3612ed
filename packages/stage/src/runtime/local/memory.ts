import { readFile } from 'node:fs/promises';
import { commandFailure, firstFailedCheck } from '../../system/command.ts';
import { FaultUnsupportedError } from '../../errors.ts';
import { listTree } from '../../system/process-tree.ts';
import type { MemoryControl } from '../../limits/server-limits.ts';
import type { Watchdog } from '../../watchdog/watchdog.ts';
import { type Cgroup, createCgroup, removeCgroup } from '../../limits/cgroup.ts';

/** Bounds the memory of a server that runs as processes of this machine, over its restarts. */
export interface LocalMemory extends MemoryControl {
  /** Tells of each new run; what is bound stays bound. */
  launched(pid: number): Promise<void>;
  cleanUp(): Promise<void>;
}

/**
 * By a control group, beyond whose bound the kernel kills; where there can be none, by the size of the
 * address space, beyond which the kernel refuses: a Redis then ends itself, a Postgres says 53200.
 */
export function createLocalMemory(
  server: string,
  id: string,
  watchdog: Watchdog,
  newGroup: typeof createCgroup = createCgroup,
): LocalMemory {
  let root: number | undefined;
  let group: Promise<Cgroup | undefined> | undefined;
  let release = (): void => undefined;
  let boundBytes: number | undefined;

  const theGroup = (): Promise<Cgroup | undefined> => (group ??= makeGroup());
  const makeGroup = async (): Promise<Cgroup | undefined> => {
    const made = await newGroup(`holdfast-${id}`, (path) => {
      release = watchdog.guard({ type: 'cgroup', path });
    });
    if (made === undefined) return undefined;
    if (root !== undefined) for (const pid of listTree(root)) await made.join(pid);
    return made;
  };

  return {
    async launched(pid) {
      root = pid;
      await (await group)?.join(pid);
      if (boundBytes !== undefined && (await group) === undefined) {
        await limitAddressSpace(server, pid, boundBytes);
      }
    },
    async limit(bytes) {
      const made = await theGroup();
      if (made !== undefined) await made.limit(bytes);
      else if (root !== undefined) {
        for (const pid of listTree(root)) await limitAddressSpace(server, pid, bytes);
      }
      boundBytes = bytes;
    },
    async usedBytes() {
      const made = await theGroup();
      if (made !== undefined) return made.usedBytes();
      return root === undefined ? 0 : (await memoryOf(root)).resident;
    },
    async cleanUp() {
      const made = await group;
      if (made !== undefined) await removeCgroup(made.path);
      release();
    },
  };
}

/** Lets a process take as much more address space as it has memory left below the bound. */
async function limitAddressSpace(
  server: string,
  pid: number,
  bytes: number | undefined,
): Promise<void> {
  const { size, resident } = await memoryOf(pid);
  // A session that has ended meanwhile.
  if (size === 0) return;
  const space = bytes === undefined ? 'unlimited' : `${size + Math.max(0, bytes - resident)}`;
  // The soft limit alone: the hard one could not be raised again.
  const seen = await commandFailure('prlimit', ['--pid', String(pid), `--as=${space}:`]);
  if (seen === undefined) return;
  const reason = `no memory cgroup can be made, and ${seen}`;
  const remedy = `Run as root, install util-linux, or use mode 'docker'`;
  throw new FaultUnsupportedError(server, 'bound its memory', reason, remedy);
}

/** Why an address space cannot be bound here, and what to do about it; `undefined` when it can. */
export function addressSpaceObstacle(): Promise<{ reason: string; remedy: string } | undefined> {
  const remedy = `Install it: 'apt-get install util-linux'`;
  return firstFailedCheck(
    [{ command: ['prlimit', '--pid', String(process.pid), '--as'], remedy }],
    undefined,
  );
}

/** From /proc/<pid>/status (proc(5)), in bytes. */
async function memoryOf(pid: number): Promise<{ size: number; resident: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1_024;
  return { size: field('VmSize'), resident: field('VmRSS') };
}
