import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** What the system knows about a process. */
export interface ProcessRecord {
  /** When it was born, in the system's own words: the same pid with another birth is another process. */
  readonly birth: string;
  /** Whether a signal has stopped it (state T). */
  readonly frozen: boolean;
}

/** Reads one process; `undefined` when it is gone, or dead and only waiting to be reaped. */
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
  return toRecord(fields[0] ?? '', fields[19] ?? '');
};

/** From ps(1), for systems without /proc. */
export const readPs: ReadProcess = (pid) => {
  const columns = ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)];
  const { stdout } = spawnSync('ps', columns, { encoding: 'utf8', env: { LC_ALL: 'C' } });
  const [state = '', ...start] = stdout.trim().split(/\s+/);
  return toRecord(state, start.join(' '));
};

/** Reads one process in the way this system offers. */
export const readProcess: ReadProcess = existsSync('/proc/self/stat') ? readProcFs : readPs;

function toRecord(state: string, birth: string): ProcessRecord | undefined {
  return state === '' || /^[ZX]/.test(state) ? undefined : { birth, frozen: /^[Tt]/.test(state) };
}
