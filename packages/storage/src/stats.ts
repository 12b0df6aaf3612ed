import { type KeyWrites, isBehind } from './replication/key-replica.ts';
import type { Replicator } from './replication/replicator.ts';
import type { PendingWrite, StorageHealth, StorageStats } from './storage.ts';

/** The replicator's part of the statistics; without one the journal is not open yet. */
export function statsOf(
  replicator: Replicator | undefined,
): Pick<StorageStats, 'pendingWrites' | 'backends'> {
  const writers = replicator?.writers ?? [];
  return {
    pendingWrites: replicator?.pendingKeys.size ?? 0,
    backends: Object.fromEntries(writers.map((writer) => [writer.backend.name, writer.stats()])),
  };
}

/** @param epochMs the wall clock's time, for the age of the oldest write. */
export function healthOf(replicator: Replicator | undefined, epochMs: number): StorageHealth {
  const writers = replicator?.writers ?? [];
  const isCritical = writers.length > 0 && writers.every((writer) => takesNoWrites(writer));
  const isUp = writers.every(({ state }) => state === 'up');
  const oldest = replicator?.pendingKeys.first;
  const hasRefused = (replicator?.pendingKeys.values() ?? []).some(({ replicas }) =>
    replicas.some(({ state }) => state === 'refused'),
  );
  return {
    level: isCritical ? 'critical' : isUp && !hasRefused ? 'healthy' : 'degraded',
    backends: Object.fromEntries(
      writers.map(({ backend, state, lastError }) => [
        backend.name,
        { state, ...(state !== 'up' && lastError !== undefined && { lastError }) },
      ]),
    ),
    pendingWrites: replicator?.pendingKeys.size ?? 0,
    ...(oldest !== undefined && {
      oldestPendingMs: Math.max(0, epochMs - oldest.newest.acceptedAtEpochMs),
    }),
  };
}

export function takesNoWrites({ state }: Replicator['writers'][number]): boolean {
  return state === 'down' || state === 'denied';
}

/** The writes that not every backend has yet, oldest first. */
export function pendingOf(replicator: Replicator | undefined): PendingWrite[] {
  const pending: PendingWrite[] = [];
  for (const writes of replicator?.pendingKeys.values() ?? []) {
    const write = pendingWrite(writes);
    // A key stays until the journal durably knows that every backend has its write.
    if (write.waitingFor.length > 0) pending.push(write);
  }
  return pending;
}

function pendingWrite(writes: KeyWrites): PendingWrite {
  const { key, newest, replicas } = writes;
  const behind = replicas.filter(({ writer }) => isBehind(writes, writer));
  const refused = behind.find(({ state }) => state === 'refused')?.refusal;
  return {
    path: key,
    kind: newest.kind,
    operationId: newest.id,
    bytes: newest.size,
    acceptedAtEpochMs: newest.acceptedAtEpochMs,
    waitingFor: behind.map(({ writer }) => writer.backend.name),
    ...(refused !== undefined && { refused }),
  };
}
