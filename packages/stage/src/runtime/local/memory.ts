import { readFile } from 'node:fs/promises';
import { FaultUnsupportedError } from '../../errors.ts';
import { type Cgroup, createCgroup, removeCgroup } from '../../limits/cgroup.ts';
import type { MemoryControl } from '../../limits/server-limits.ts';
import type { Availability } from '../../system/availability.ts';
import { commandFailure, runChecks } from '../../system/command.ts';
import { listTree } from '../../system/process-tree.ts';
import type { Watchdog } from '../../watchdog/watchdog.ts';

/** Limits the memory of a local server across its restarts. */
interface LocalMemory extends MemoryControl {
  /** Called for each new run, to which the present limit applies. */
  launched(pid: number): Promise<void>;
  cleanUp(): Promise<void>;
}

/**
 * By a control group, in which the kernel kills; where none can be created, by the size of the address space,
 * beyond which the kernel refuses memory: a Redis then ends itself, a Postgres fails with 53200.
 */
export function createLocalMemory(
  server: string,
  id: string,
  watchdog: Watchdog,
  create: typeof createCgroup = createCgroup,
): LocalMemory {
  let root: number | undefined;
  let cgroup: Promise<Cgroup | undefined> | undefined;
  let release = (): void => undefined;
  let limitBytes: number | undefined;

  const createOnce = (): Promise<Cgroup | undefined> => (cgroup ??= createWithMembers());
  const createWithMembers = async (): Promise<Cgroup | undefined> => {
    const created = await create(`holdfast-${id}`, (path) => {
      release = watchdog.guard({ kind: 'cgroup', path });
    });
    if (created === undefined) return undefined;
    if (root !== undefined) for (const pid of listTree(root)) await created.join(pid);
    return created;
  };

  return {
    async launched(pid) {
      root = pid;
      await (await cgroup)?.join(pid);
      if (limitBytes !== undefined && (await cgroup) === undefined) {
        await limitAddressSpace(server, pid, limitBytes);
      }
    },
    async limit(bytes) {
      const created = await createOnce();
      if (created !== undefined) await created.limit(bytes);
      else if (root !== undefined) {
        for (const pid of listTree(root)) await limitAddressSpace(server, pid, bytes);
      }
      limitBytes = bytes;
    },
    async usedBytes() {
      const created = await createOnce();
      if (created !== undefined) return created.usedBytes();
      return root === undefined ? 0 : (await memoryOf(root)).resident;
    },
    async cleanUp() {
      const created = await cgroup;
      if (created !== undefined) await removeCgroup(created.path);
      release();
    },
  };
}

/** Limits the address space of a process to its present size plus the memory left below the limit. */
async function limitAddressSpace(
  server: string,
  pid: number,
  bytes: number | undefined,
): Promise<void> {
  const { size, resident } = await memoryOf(pid);
  // The process has ended meanwhile.
  if (size === 0) return;
  const space = bytes === undefined ? 'unlimited' : `${size + Math.max(0, bytes - resident)}`;
  // The soft limit alone: the hard limit could not be raised again.
  const failure = await commandFailure('prlimit', ['--pid', String(pid), `--as=${space}:`]);
  if (failure === undefined) return;
  const reason = `no memory cgroup can be created, and ${failure}`;
  const remedy = `Run as root, install util-linux, or use mode 'docker'`;
  throw new FaultUnsupportedError(server, 'limit its memory', reason, remedy);
}

/** Whether the address space of a process can be limited on this machine. */
export function checkAddressSpace(): Promise<Availability> {
  const command = ['prlimit', '--pid', String(process.pid), '--as'] as const;
  return runChecks([{ command, remedy: `Install it: 'apt-get install util-linux'` }], undefined);
}

/** From /proc/<pid>/status (proc(5)), in bytes. */
async function memoryOf(pid: number): Promise<{ size: number; resident: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1_024;
  return { size: field('VmSize'), resident: field('VmRSS') };
}
