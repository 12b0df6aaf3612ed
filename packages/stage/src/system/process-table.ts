import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';

/** One entry of the system's process table. */
interface ProcessRecord {
  /** As the system writes it: the same pid with another start time is another process. */
  readonly startTime: string;
  /** Whether a signal has stopped it (state T). */
  readonly frozen: boolean;
}

/** Reads one process; `undefined` when it does not exist, or has ended and was not reaped yet. */
export type ReadProcess = (pid: number) => ProcessRecord | undefined;

/** From /proc/<pid>/stat, whose field 3 is the state and field 22 the start in clock ticks (proc(5)). */
export const readProcFs: ReadProcess = (pid) => {
  const path = `/proc/${pid}/stat`;
  let stat: string;
  try {
    stat = readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
  // The command in field 2 stands in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return parseRecord(fields[0] ?? '', fields[19] ?? '');
};

/** From ps(1), for systems without /proc. */
export const readPs: ReadProcess = (pid) => {
  const columns = ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)];
  const { stdout } = spawnSync('ps', columns, { encoding: 'utf8', env: { LC_ALL: 'C' } });
  const [state = '', ...start] = stdout.trim().split(/\s+/);
  return parseRecord(state, start.join(' '));
};

/** Reads one process from /proc, else by ps. */
export const readProcess: ReadProcess = existsSync('/proc/self/stat') ? readProcFs : readPs;

/** What the kernel adds to the path of a working directory that was removed. */
const REMOVED = / \(deleted\)$/;

/** The processes whose working directory is a folder or lies below it (proc(5)); none without /proc. */
export function listWorkingIn(path: string): number[] {
  const folder = existsSync(path) ? realpathSync(path) : path;
  const entries = existsSync('/proc/self/stat') ? readdirSync('/proc') : [];
  return entries
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const directory = readlinkSync(`/proc/${pid}/cwd`).replace(REMOVED, '');
        return directory === folder || directory.startsWith(`${folder}/`);
      } catch {
        return false;
      }
    });
}

/** The child processes of a process. */
type ListChildren = (pid: number) => number[];

/** From /proc/<pid>/task/<tid>/children of each thread where the kernel has it, else from all processes. */
const listChildrenProcFs: ListChildren = (pid) => {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
      const listed = readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').trim();
      return listed === '' ? [] : listed.split(' ').map(Number);
    });
  } catch {
    return readProcess(pid) === undefined ? [] : scanForChildren(pid);
  }
};

/** From field 4 of each /proc/<pid>/stat (proc(5)). */
function scanForChildren(pid: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((other) => {
    try {
      const stat = readFileSync(`/proc/${other}/stat`, 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
    } catch {
      return false;
    }
  });
}

/** From ps(1), for systems without /proc. */
const listChildrenPs: ListChildren = (pid) => {
  const columns = ['-A', '-o', 'pid=', '-o', 'ppid='];
  const { stdout } = spawnSync('ps', columns, { encoding: 'utf8', env: { LC_ALL: 'C' } });
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([child = 0, parent]) => (parent === pid ? [child] : []));
};

/** Lists children from /proc, else by ps. */
export const listChildren: ListChildren = existsSync('/proc/self/stat')
  ? listChildrenProcFs
  : listChildrenPs;

function parseRecord(state: string, startTime: string): ProcessRecord | undefined {
  return state === '' || /^[ZX]/.test(state)
    ? undefined
    : { startTime, frozen: /^[Tt]/.test(state) };
}
