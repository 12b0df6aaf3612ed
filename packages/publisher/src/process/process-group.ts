import { readFile, readdir } from 'node:fs/promises';

const STAT_GROUP_FIELD = 2;
const STAT_RSS_FIELD = 21;
/** The kernel's page on every platform Node supports with a /proc; a larger one only makes the cap stricter. */
const PAGE_BYTES = 4_096;

/** Sends a signal to every process of the group; `false` when there is none any more. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}

/** Whether a process with this id runs, or runs for another user. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return Object(error).code === 'EPERM';
  }
}

/** The memory of all processes of a group together, in bytes; `undefined` on a system without /proc. */
export async function groupMemoryBytes(group: number): Promise<number | undefined> {
  const names = await readdir('/proc').catch(() => undefined);
  if (names === undefined) return undefined;
  const pids = names.filter((name) => /^\d+$/.test(name));
  const sizes = await Promise.all(pids.map((pid) => memoryIn(pid, group)));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

async function memoryIn(pid: string, group: number): Promise<number> {
  // A process that has just ended counts nothing.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name of the program is in brackets and may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (Number(fields[STAT_GROUP_FIELD]) !== group) return 0;
  return Number(fields[STAT_RSS_FIELD]) * PAGE_BYTES;
}
