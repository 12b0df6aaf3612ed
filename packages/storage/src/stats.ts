import { describeThrown, isHoldfastError } from '@holdfast/foundation';
import type { Journal } from '@holdfast/journal';
import { type KeyWrites, isBehind, isOpen } from './replication/key-replica.ts';
import type { OpenedStorage } from './open-storage.ts';
import type { BackendWriter } from './replication/backend-writer.ts';
import type { Replicator } from './replication/replicator.ts';
import type { BackendHealth, PendingWrite, StorageHealth, StorageStats } from './storage.ts';

/**
 * The keys with a write that is pending: a backend lacks it, or has yet to be read back, because an earlier write
 * may still be applied late. A key that is only kept in the journal for the next process is not pending.
 */
function* pendingKeysOf(replicator: Replicator | undefined): Generator<KeyWrites> {
  for (const writes of replicator?.pendingKeys.values() ?? []) {
    if (writes.replicas.some(({ state }) => isOpen(state))) yield writes;
  }
}

/** @param opened without it the journal is not open yet. */
export function statsOf(
  writers: readonly BackendWriter[],
  opened: Pick<OpenedStorage, 'replicator' | 'budget' | 'local'> | undefined,
  counted: Omit<
    StorageStats,
    'pendingWrites' | 'pendingBytes' | 'backends' | 'journalBytes' | 'localCopies'
  >,
): StorageStats {
  let pendingWrites = 0;
  let pendingBytes = 0;
  for (const { newest } of pendingKeysOf(opened?.replicator)) {
    pendingWrites += 1;
    pendingBytes += newest.size;
  }
  return {
    ...counted,
    pendingWrites,
    pendingBytes,
    backends: Object.fromEntries(writers.map((writer) => [writer.backend.name, writer.stats()])),
    journalBytes: opened?.budget.bytes ?? 0,
    localCopies: opened?.local?.stats ?? { entries: 0, bytes: 0 },
  };
}

/**
 * @param replicator `undefined` while the journal is being opened.
 * @param epochMs the wall clock's time, for the age of the oldest write.
 * @param state why the journal is not open, if it should be; else the journal, which says whether it accepts writes.
 */
export function healthOf(
  writers: readonly BackendWriter[],
  replicator: Replicator | undefined,
  epochMs: number,
  { failure, journal }: { readonly failure: unknown; readonly journal: Journal | undefined },
): StorageHealth {
  const journalFailure =
    failure === undefined ? journal?.getStats().failure : journalFailureOf(failure);
  const backends = writers.map((writer) => [writer.backend.name, backendHealthOf(writer)] as const);
  const isAway = backends.every(([, health]) => takesNoWrites(health));
  const isCritical = isAway || journalFailure !== undefined;
  const isUp = replicator !== undefined && backends.every(([, { state }]) => state === 'up');
  let pendingWrites = 0;
  let hasRefused = false;
  let oldestEpochMs = Infinity;
  for (const { newest, replicas } of pendingKeysOf(replicator)) {
    pendingWrites += 1;
    hasRefused ||= replicas.some(
      ({ state, denial }) => state === 'refused' || denial !== undefined,
    );
    oldestEpochMs = Math.min(oldestEpochMs, newest.acceptedAtEpochMs);
  }
  return {
    level: isCritical ? 'critical' : isUp && !hasRefused ? 'healthy' : 'degraded',
    backends: Object.fromEntries(backends),
    pendingWrites,
    ...(journalFailure !== undefined && { journalFailure }),
    ...(pendingWrites > 0 && { oldestPendingMs: Math.max(0, epochMs - oldestEpochMs) }),
  };
}

/** What is known of a backend, and since when; lets an idle one be asked for the next time. */
function backendHealthOf({
  state: written,
  lastError: error,
  probe,
}: BackendWriter): StorageHealth['backends'][string] {
  // Any other state ends by the writes that wait, which keep to the times that the backend asks for.
  if (written === 'up') probe.ask();
  const { failure, answeredMsAgo } = probe;
  const state = written === 'up' && failure !== undefined ? 'down' : written;
  const lastError = written === 'up' ? failure?.message : error;
  return {
    state,
    ...(lastError !== undefined && { lastError }),
    ...(answeredMsAgo !== undefined && { answeredMsAgo }),
  };
}

export function takesNoWrites({ state }: { readonly state: BackendHealth }): boolean {
  return state === 'down' || state === 'denied';
}

/** The pending writes, oldest first. */
export function pendingOf(replicator: Replicator | undefined): PendingWrite[] {
  return Array.from(pendingKeysOf(replicator), pendingWrite);
}

function pendingWrite(writes: KeyWrites): PendingWrite {
  const { key, newest, replicas } = writes;
  const open = replicas.filter(({ state }) => isOpen(state));
  const behind = open.filter(({ writer }) => isBehind(writes, writer));
  const refused = behind.find(({ state }) => state === 'refused')?.refusal;
  const denied = behind.find(({ denial }) => denial !== undefined)?.denial?.failure;
  const namesOf = (some: KeyWrites['replicas']) => some.map(({ writer }) => writer.backend.name);
  return {
    path: key,
    kind: newest.kind,
    operationId: newest.id,
    bytes: newest.size,
    acceptedAtEpochMs: newest.acceptedAtEpochMs,
    waitingFor: namesOf(behind),
    verifying: namesOf(open.filter((replica) => !behind.includes(replica))),
    ...(refused !== undefined && { refused }),
    ...(denied !== undefined && { denied }),
  };
}

/** Why the journal could not be opened. */
function journalFailureOf(error: unknown): NonNullable<StorageHealth['journalFailure']> {
  return isHoldfastError(error)
    ? { code: error.code, message: error.message }
    : { code: 'JOURNAL_UNAVAILABLE', message: describeThrown(error) };
}
