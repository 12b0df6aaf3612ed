import { readFile } from 'node:fs/promises';
import type { Availability } from './availability.ts';
import { type CommandCheck, commandFailure, runChecks } from './command.ts';

const HAS_IPCRM: CommandCheck = {
  command: ['ipcrm', '--version'],
  remedy: `Install it: 'apt-get install util-linux'`,
};

/**
 * Removes the System V shared memory segment of a killed Postgres: 56 bytes that mark its data as in use. Only
 * the next start of that Postgres, or this function, removes it.
 * Format: line 1 of postmaster.pid holds the process id, line 7 the key and the id of the segment.
 */
export async function removeSegment(pidFile: string): Promise<void> {
  const lines = (await readFile(pidFile, 'latin1').catch(() => '')).split('\n');
  if (lines[0] === undefined || lines[0] === '') return;
  const [, noted] = (lines[6] ?? '').trim().split(/\s+/);
  const listed = await readFile('/proc/sysvipc/shm', 'latin1').catch(() => undefined);
  // Without a list from the system, use the id in the file.
  const ids = listed === undefined ? [noted ?? ''] : orphansOf(lines[0].trim(), listed);
  await Promise.all(ids.filter((id) => id !== '').map(remove));
}

/**
 * The segments of /proc/sysvipc/shm (proc(5)) that a process has created and no process is attached to. Found
 * by their creator instead of by id, because a Postgres that is killed early has not written the id yet.
 */
export function orphansOf(pid: string, listed: string): string[] {
  return listed.split('\n').flatMap((line) => {
    const [, id = '', , , creator, , attached] = line.trim().split(/\s+/);
    return creator === pid && attached === '0' ? [id] : [];
  });
}

/** Whether a segment can be removed on this machine. */
export function checkSegmentRemoval(): Promise<Availability> {
  return runChecks([HAS_IPCRM], undefined);
}

async function remove(id: string): Promise<void> {
  const failure = await commandFailure('ipcrm', ['-m', id]);
  if (failure === undefined) return;
  const remedy = HAS_IPCRM.remedy;
  process.emitWarning(`shared memory segment ${id} was not removed: ${failure}. ${remedy}`);
}
