import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/**
 * Removes the System V segment that a killed Postgres has left: 56 bytes by which it would have known that
 * its data are in use, and which nothing but a next start or this removes.
 * Format: line 7 of postmaster.pid holds its key and id; /proc/sysvipc/shm lists all there are (proc(5)).
 */
export async function removeSegment(pidFile: string): Promise<void> {
  const lines = (await readFile(pidFile, 'latin1').catch(() => '')).split('\n');
  const [key, id] = (lines[6] ?? '').trim().split(/\s+/);
  if (key === undefined || id === undefined || !(await isOrphan(key, id))) return;
  await new Promise<void>((resolve) => {
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

/** Whether the segment is still the one it was, and nobody uses it. */
async function isOrphan(key: string, id: string): Promise<boolean> {
  const listed = await readFile('/proc/sysvipc/shm', 'latin1').catch(() => undefined);
  // Where the system keeps no list, the pid file is believed.
  if (listed === undefined) return true;
  return listed.split('\n').some((line) => {
    const [itsKey, itsId, , , , , attached] = line.trim().split(/\s+/);
    return itsId === id && Number(itsKey) >>> 0 === Number(key) >>> 0 && attached === '0';
  });
}
