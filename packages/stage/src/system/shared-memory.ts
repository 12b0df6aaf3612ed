import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/**
 * Removes the System V segment that a killed Postgres has left: 56 bytes by which it would have known that
 * its data are in use, and which nothing but a next start or this removes.
 * Format: line 1 of postmaster.pid holds the process, line 7 the key and the id of the segment.
 */
export async function removeSegment(pidFile: string): Promise<void> {
  const lines = (await readFile(pidFile, 'latin1').catch(() => '')).split('\n');
  if (lines[0] === undefined || lines[0] === '') return;
  const [, noted] = (lines[6] ?? '').trim().split(/\s+/);
  const listed = await readFile('/proc/sysvipc/shm', 'latin1').catch(() => undefined);
  // Where the system keeps no list, what was noted is believed.
  const ids = listed === undefined ? [noted ?? ''] : orphansOf(lines[0].trim(), listed);
  await Promise.all(ids.filter((id) => id !== '').map(remove));
}

/**
 * The segments of /proc/sysvipc/shm (proc(5)) that a process has made and nobody uses. By its maker rather
 * than by its id, because one that is killed early has not noted the id yet.
 */
export function orphansOf(pid: string, listed: string): string[] {
  return listed.split('\n').flatMap((line) => {
    const [, id = '', , , maker, , attached] = line.trim().split(/\s+/);
    return maker === pid && attached === '0' ? [id] : [];
  });
}

function remove(id: string): Promise<void> {
  return new Promise((resolve) => {
    execFile('ipcrm', ['-m', id], (failure) => {
      if (failure !== null) {
        process.emitWarning(
          `shared memory segment ${id} is left: ipcrm ended with ${failure.code}`,
        );
      }
      resolve();
    });
  });
}
