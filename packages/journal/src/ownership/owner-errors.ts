import { JournalLockedError, JournalUnavailableError } from '../errors.ts';
import { type OwnerRecord, isSameProcess } from './owner-record.ts';

export function lockedBy(
  directory: string,
  owner: OwnerRecord | undefined,
  self: OwnerRecord,
  retryAfterMs: number,
): JournalLockedError {
  const message =
    owner !== undefined && isSameProcess(owner, self)
      ? `journal: ${directory} is open in this process already (${describeOwner(owner)}), by another adapter or by a ` +
        'module that was loaded twice; close that one, or keep one adapter for the whole process: ' +
        'globalThis.adapter ??= create…({ … })'
      : `journal: ${directory} is owned by ${describeOwner(owner)}, which is alive; stop it, or give each process a ` +
        'directory of its own, named after a number that its successor gets too: ' +
        "join(directory, process.env.NODE_APP_INSTANCE ?? '0')";
  return new JournalLockedError(directory, message, {
    ...ownerDetails(owner),
    retryable: true,
    retryAfterMs,
  });
}

export function lostTo(directory: string, owner: OwnerRecord | undefined): JournalLockedError {
  return new JournalLockedError(
    directory,
    `journal: ${directory} was taken over by ${describeOwner(owner)} while this process stood ` +
      'still; nothing more is written here by this one: open the journal again',
    { ...ownerDetails(owner), retryable: false },
  );
}

export function goneFrom(directory: string): JournalUnavailableError {
  return new JournalUnavailableError(
    directory,
    `journal: ${directory} was removed, renamed or emptied while it was open; nothing more is written here by this ` +
      'process: restore the directory, and open the journal again',
  );
}

function describeOwner(owner: OwnerRecord | undefined): string {
  if (owner === undefined) return 'a process that left no readable name';
  const since = new Date(owner.sinceEpochMs).toISOString();
  return `process ${owner.pid} on ${owner.host} since ${since}`;
}

function ownerDetails(owner: OwnerRecord | undefined): {
  pid?: number;
  host?: string;
  sinceEpochMs?: number;
} {
  if (owner === undefined) return {};
  return { pid: owner.pid, host: owner.host, sinceEpochMs: owner.sinceEpochMs };
}
