import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { errnoOf } from '../errors.ts';

/** The description that an owner writes into the directory. */
export interface OwnerRecord {
  /** Random; identifies this owner. */
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  readonly sinceEpochMs: number;
  /** Whether the owner itself gave the directory up. */
  readonly released: boolean;
  /** How long the owner may be silent before it counts as dead; absent in records of releases that had none. */
  readonly staleMs?: number;
  /** Linux: the boot of the machine, the pid namespace, and the start time of the process. */
  readonly bootId?: string;
  readonly pidNamespace?: string;
  readonly startTicks?: string;
}

/** The pid namespace of a Linux machine outside of any container. */
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]';

/** Owners in this process that could not write that they gave their directory up. */
const givenUp = new Set<string>();

/** This process will not use what the owner with this token has, whatever the disk says. */
export function giveUp(token: string): void {
  givenUp.add(token);
}

/** The record of this owner is gone. */
export function forgetGivenUp(token: string): void {
  givenUp.delete(token);
}

/** This process. */
export async function describeSelf(
  token: string,
  sinceEpochMs: number,
  staleMs?: number,
): Promise<OwnerRecord> {
  const bootId = await attempt(readFile('/proc/sys/kernel/random/boot_id', 'utf8'));
  const pidNamespace = await attempt(readlink('/proc/self/ns/pid'));
  const startTicks = (await readProcess(process.pid))?.startTicks;
  return {
    token,
    pid: process.pid,
    host: hostname(),
    sinceEpochMs,
    released: false,
    ...(staleMs === undefined ? {} : { staleMs }),
    ...(bootId === undefined ? {} : { bootId: bootId.trim() }),
    ...(pidNamespace === undefined ? {} : { pidNamespace }),
    ...(startTicks === undefined ? {} : { startTicks }),
  };
}

/**
 * Whether an owner still runs, as far as this process can see. `unknown`: it ran in another container or on another
 * machine, and only its heartbeat can show it.
 */
export async function ownerLiveness(
  owner: OwnerRecord,
  self: OwnerRecord,
): Promise<'alive' | 'dead' | 'unknown'> {
  if (owner.released || givenUp.has(owner.token)) return 'dead';
  if (owner.bootId !== self.bootId) {
    // The machine was rebooted. A container's host name proves nothing: another container may have the same.
    const machine = owner.host === self.host && owner.pidNamespace === INITIAL_PID_NAMESPACE;
    return machine && self.pidNamespace === INITIAL_PID_NAMESPACE ? 'dead' : 'unknown';
  }
  if (owner.bootId === undefined) {
    if (owner.host !== self.host) return 'unknown';
  } else if (owner.pidNamespace !== self.pidNamespace) {
    return 'unknown';
  }
  if (!processExists(owner.pid)) return 'dead';
  const found = await readProcess(owner.pid);
  if (found === undefined || owner.startTicks === undefined) return 'alive';
  return found.startTicks === owner.startTicks && !found.ended ? 'alive' : 'dead';
}

/** Whether both are this process; a pid alone may be that of a process in another container. */
export function isSameProcess(owner: OwnerRecord, self: OwnerRecord): boolean {
  return (
    owner.pid === self.pid &&
    owner.host === self.host &&
    owner.bootId === self.bootId &&
    owner.pidNamespace === self.pidNamespace &&
    owner.startTicks === self.startTicks
  );
}

export function parseOwner(content: Uint8Array): OwnerRecord | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(content).toString('utf8'));
  } catch {
    return undefined;
  }
  return isOwnerRecord(parsed) ? parsed : undefined;
}

function isOwnerRecord(value: unknown): value is OwnerRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    'token' in value &&
    typeof value.token === 'string' &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'host' in value &&
    typeof value.host === 'string' &&
    'sinceEpochMs' in value &&
    typeof value.sinceEpochMs === 'number' &&
    'released' in value &&
    typeof value.released === 'boolean'
  );
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== 'ESRCH';
  }
}

/** Fields 3 and 22 of proc(5) stat; the name before them may contain spaces and parentheses. */
async function readProcess(
  pid: number,
): Promise<{ startTicks: string; ended: boolean } | undefined> {
  const stat = await attempt(readFile(`/proc/${pid}/stat`, 'utf8'));
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = fields?.[19];
  if (fields === undefined || startTicks === undefined) return undefined;
  return { startTicks, ended: fields[0] === 'Z' || fields[0] === 'X' };
}

async function attempt<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch {
    return undefined;
  }
}
