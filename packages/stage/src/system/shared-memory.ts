import { readFile } from 'node:fs/promises';
import { type CommandCheck, commandFailure, firstFailedCheck } from './command.ts';

const HAS_IPCRM: CommandCheck = {
  command: ['ipcrm', '--version'],
  remedy: `Install it: 'apt-get install util-linux'`,
};

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

/** Why a segment cannot be removed here, and what to do about it; `undefined` when it can. */
export function segmentObstacle(): Promise<{ reason: string; remedy: string } | undefined> {
  return firstFailedCheck([HAS_IPCRM], undefined);
}

async function remove(id: string): Promise<void> {
  const why = await commandFailure('ipcrm', ['-m', id]);
  if (why === undefined) return;
  process.emitWarning(`shared memory segment ${id} is left: ${why}. ${HAS_IPCRM.remedy}`);
}
