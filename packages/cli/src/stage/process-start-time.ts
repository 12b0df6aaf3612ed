import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** When a process was started, as the system writes it; `undefined` when it does not run (proc(5), ps(1)). */
export function processStartTime(pid: number): string | undefined {
  return existsSync('/proc/self/stat') ? fromProcFs(pid) : fromPs(pid);
}

function fromProcFs(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command in field 2 stands in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // It has ended, and its parent has not asked for its status.
  return fields[0] === 'Z' ? undefined : fields[19];
}

function fromPs(pid: number): string | undefined {
  const columns = ['-o', 'lstart=', '-p', String(pid)];
  const { stdout } = spawnSync('ps', columns, { encoding: 'utf8', env: { LC_ALL: 'C' } });
  return stdout.trim() === '' ? undefined : stdout.trim();
}
