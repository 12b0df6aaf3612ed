import { InvalidOptionError } from '@holdfast/foundation';
import type {
  BackendHealth,
  BackendStats,
  Storage,
  StorageHealth,
  StorageStats,
} from './storage.ts';

/** The storages whose numbers are published, by the name they bear there. */
export type MeasuredStorages = Readonly<Record<string, Pick<Storage, 'getStats' | 'health'>>>;

export interface StorageSample {
  readonly labels: { readonly storage: string; readonly backend?: string };
  readonly value: number;
}

/** One number of a storage, or of each of its backends. */
export interface StorageMetric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly labelNames: readonly ('storage' | 'backend')[];
  /** Read at the moment somebody looks. */
  readonly read: (storages: MeasuredStorages) => Generator<StorageSample>;
}

const LEVELS: Readonly<Record<StorageHealth['level'], number>> = {
  healthy: 0,
  degraded: 1,
  critical: 2,
};

const STATES: Readonly<Record<BackendHealth, number>> = {
  up: 0,
  recovering: 1,
  down: 2,
  denied: 3,
};

type Kind = StorageMetric['kind'];

const ofStorage = (
  kind: Kind,
  name: string,
  help: string,
  read: (stats: StorageStats, health: StorageHealth) => number | undefined,
): StorageMetric => ({
  name: `storage_${name}`,
  help,
  kind,
  labelNames: ['storage'],
  *read(storages) {
    for (const [storage, measured] of Object.entries(storages)) {
      const value = read(measured.getStats(), measured.health());
      if (value !== undefined) yield { labels: { storage }, value };
    }
  },
});

const ofBackends = (
  kind: Kind,
  name: string,
  help: string,
  read: (stats: BackendStats) => number,
): StorageMetric => ({
  name: `storage_backend_${name}`,
  help,
  kind,
  labelNames: ['storage', 'backend'],
  *read(storages) {
    for (const [storage, measured] of Object.entries(storages)) {
      for (const [backend, stats] of Object.entries(measured.getStats().backends)) {
        yield { labels: { storage, backend }, value: read(stats) };
      }
    }
  },
});

export const storageMetrics: readonly StorageMetric[] = [
  ofStorage(
    'gauge',
    'health',
    'healthy 0, degraded 1, critical 2',
    (_, { level }) => LEVELS[level],
  ),
  ofStorage(
    'gauge',
    'pending_writes',
    'Keys with a write some backend lacks',
    (s) => s.pendingWrites,
  ),
  ofStorage('gauge', 'pending_bytes', 'Bodies kept for those', (stats) => stats.pendingBytes),
  ofStorage(
    'gauge',
    'oldest_pending_ms',
    'Age of the oldest of those',
    (_, { oldestPendingMs = 0 }) => oldestPendingMs,
  ),
  ofStorage(
    'gauge',
    'local_copies',
    'Copies on this machine',
    (stats) => stats.localCopies.entries,
  ),
  ofStorage('gauge', 'local_bytes', 'Their bytes', (stats) => stats.localCopies.bytes),
  ofStorage('counter', 'accepted_total', 'Writes accepted', (stats) => stats.accepted),
  ofStorage('counter', 'accepted_bytes_total', 'Their bytes', (stats) => stats.acceptedBytes),
  ofStorage(
    'counter',
    'conflicts_total',
    'Keys somebody else wrote too',
    (stats) => stats.conflicts,
  ),
  ofStorage('counter', 'repairs_total', 'Damaged objects written anew', (stats) => stats.repairs),
  ofStorage(
    'counter',
    'refused_total',
    'Writes a backend refuses for good',
    (stats) => stats.refused,
  ),
  ofBackends(
    'gauge',
    'state',
    'up 0, recovering 1, down 2, denied 3',
    ({ state }) => STATES[state],
  ),
  ofBackends('gauge', 'waiting', 'Keys that wait for it', ({ waiting }) => waiting),
  ofBackends('gauge', 'in_flight', 'Requests it has not answered', ({ inFlight }) => inFlight),
  ofBackends('counter', 'puts_total', 'Objects sent to it', ({ puts }) => puts),
  ofBackends('counter', 'put_bytes_total', 'Their bytes', ({ putBytes }) => putBytes),
  ofBackends('counter', 'removes_total', 'Removals sent to it', ({ removes }) => removes),
  ofBackends('counter', 'heads_total', 'Looks before or after a write', ({ heads }) => heads),
  ofBackends(
    'counter',
    'already_applied_total',
    'Writes it had although their answers were lost',
    ({ alreadyApplied }) => alreadyApplied,
  ),
  ofBackends(
    'counter',
    'folded_total',
    'Writes overtaken before they were sent',
    ({ folded }) => folded,
  ),
  ofBackends('counter', 'failures_total', 'Calls that failed', ({ failures }) =>
    Object.values(failures).reduce((sum, one) => sum + one, 0),
  ),
];

/** @throws InvalidOptionError */
export function checkStorages(owner: string, storages: MeasuredStorages): void {
  const isMeasurable = (storage: unknown): boolean =>
    typeof storage === 'object' && storage !== null && 'getStats' in storage && 'health' in storage;
  if (Object.values(storages).every(isMeasurable)) return;
  throw new InvalidOptionError(owner, 'storages', storages, 'storages by their names');
}
