import type { Replicator } from './replication/replicator.ts';
import type { KeyWrites } from './replication/key-replica.ts';
import type { PendingWrite, StorageHealth, StorageStats } from './storage.ts';

/** The part of the numbers that the dispatcher knows; `undefined` before the journal is open. */
export function statsOf(
  dispatcher: Replicator | undefined,
): Pick<StorageStats, 'pendingWrites' | 'backends'> {
  const channels = dispatcher?.writers ?? [];
  return {
    pendingWrites: dispatcher?.pendingKeys.size ?? 0,
    backends: Object.fromEntries(
      channels.map((channel) => [channel.backend.name, channel.stats()]),
    ),
  };
}

/** @param epochMs the wall clock now, which the age of the oldest write is measured by. */
export function healthOf(dispatcher: Replicator | undefined, epochMs: number): StorageHealth {
  const channels = dispatcher?.writers ?? [];
  const isAway = channels.map(({ state }) => state === 'down' || state === 'denied');
  const isCritical = isAway.length > 0 && isAway.every(Boolean);
  const isWhole = channels.every(({ state }) => state === 'up');
  const oldest = dispatcher?.pendingKeys.first;
  const pendingWrites = dispatcher?.pendingKeys.size ?? 0;
  const hasRefused = (dispatcher?.pendingKeys.values() ?? []).some(({ replicas }) =>
    replicas.some(({ state }) => state === 'refused'),
  );
  return {
    level: isCritical ? 'critical' : isWhole && !hasRefused ? 'healthy' : 'degraded',
    backends: Object.fromEntries(
      channels.map(({ backend, state, lastError }) => [
        backend.name,
        { state, ...(state !== 'up' && lastError !== undefined && { lastError }) },
      ]),
    ),
    pendingWrites,
    ...(oldest !== undefined && {
      oldestPendingMs: Math.max(0, epochMs - oldest.newest.acceptedAtEpochMs),
    }),
  };
}

/** What not every backend has yet, oldest first. */
export function pendingOf(dispatcher: Replicator | undefined): PendingWrite[] {
  const pending: PendingWrite[] = [];
  for (const chain of dispatcher?.pendingKeys.values() ?? []) {
    const write = pendingWrite(chain);
    // What every backend has stays until the journal knows it too.
    if (write.waitingFor.length > 0) pending.push(write);
  }
  return pending;
}

function pendingWrite({ key, newest, replicas }: KeyWrites): PendingWrite {
  const behind = replicas.filter((lane) => lane.settledGeneration < newest.generation);
  const refused = behind.find(({ state }) => state === 'refused')?.refusal;
  return {
    path: key,
    kind: newest.kind,
    operationId: newest.id,
    bytes: newest.size,
    acceptedAtEpochMs: newest.acceptedAtEpochMs,
    waitingFor: behind.map(({ backend }) => backend),
    ...(refused !== undefined && { refused }),
  };
}
