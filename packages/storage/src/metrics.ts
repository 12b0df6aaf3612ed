import type { OptionRule } from '@holdfast/foundation';
import {
  type Collector,
  type Row,
  collectTable,
  namedSources,
  rowsFor,
} from '@holdfast/foundation/metrics';
import type {
  BackendHealth,
  BackendStats,
  Storage,
  StorageHealth,
  StorageStats,
} from './storage.ts';

/** The storages whose numbers are published, by the name they are published under. */
export type MeasuredStorages = Readonly<Record<string, Pick<Storage, 'getStats' | 'health'>>>;

export const measuredStorages: OptionRule<MeasuredStorages> = namedSources(['getStats', 'health']);

interface StorageReading {
  readonly stats: StorageStats;
  readonly health: StorageHealth;
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

const storage = rowsFor<StorageReading>('storage');
const storageRows: readonly Row<StorageReading>[] = [
  storage.gauge(
    'storage_health',
    'healthy 0, degraded 1, critical 2',
    ({ health }) => LEVELS[health.level],
  ),
  storage.gauge(
    'storage_pending_writes',
    'Keys with a pending write',
    ({ stats }) => stats.pendingWrites,
  ),
  storage.gauge('storage_pending_bytes', 'Bodies of those', ({ stats }) => stats.pendingBytes),
  storage.gauge(
    'storage_journal_bytes',
    'Bodies kept in the journal',
    ({ stats }) => stats.journalBytes,
  ),
  storage.gauge(
    'storage_oldest_pending_ms',
    'Age of the oldest of those',
    ({ health }) => health.oldestPendingMs ?? 0,
  ),
  storage.gauge(
    'storage_local_copies',
    'Copies on this machine',
    ({ stats }) => stats.localCopies.entries,
  ),
  storage.gauge('storage_local_bytes', 'Their bytes', ({ stats }) => stats.localCopies.bytes),
  storage.counter('storage_accepted_total', 'Writes accepted', ({ stats }) => stats.accepted),
  storage.counter(
    'storage_accepted_bytes_total',
    'Their bytes',
    ({ stats }) => stats.acceptedBytes,
  ),
  storage.counter(
    'storage_conflicts_total',
    'Keys somebody else wrote too',
    ({ stats }) => stats.conflicts,
  ),
  storage.counter(
    'storage_repairs_total',
    'Damaged objects written anew',
    ({ stats }) => stats.repairs,
  ),
  storage.counter(
    'storage_refused_total',
    'Writes a backend refuses for good',
    ({ stats }) => stats.refused,
  ),
];

const backend = rowsFor<BackendStats>('storage', 'backend');
const backendRows: readonly Row<BackendStats>[] = [
  backend.gauge(
    'storage_backend_state',
    'up 0, recovering 1, down 2, denied 3',
    ({ state }) => STATES[state],
  ),
  backend.gauge('storage_backend_waiting', 'Keys that wait for it', ({ waiting }) => waiting),
  backend.gauge(
    'storage_backend_in_flight',
    'Requests it has not answered',
    ({ inFlight }) => inFlight,
  ),
  backend.counter('storage_backend_puts_total', 'Objects sent to it', ({ puts }) => puts),
  backend.counter('storage_backend_put_bytes_total', 'Their bytes', ({ putBytes }) => putBytes),
  backend.counter('storage_backend_removes_total', 'Removals sent to it', ({ removes }) => removes),
  backend.counter(
    'storage_backend_heads_total',
    'Reads before or after a write',
    ({ heads }) => heads,
  ),
  backend.counter(
    'storage_backend_already_applied_total',
    'Writes it had although their responses were lost',
    ({ alreadyApplied }) => alreadyApplied,
  ),
  backend.counter(
    'storage_backend_superseded_total',
    'Writes superseded before they were sent',
    ({ superseded }) => superseded,
  ),
  backend.counter('storage_backend_failures_total', 'Calls that failed', ({ failures }) =>
    Object.values(failures).reduce((sum, one) => sum + one, 0),
  ),
];

/** How the numbers of these storages and of their backends are read. */
export function storageCollectors(storages: MeasuredStorages): Collector[] {
  const sources = Object.entries(storages);
  return [
    ...collectTable(
      'storage',
      storageRows,
      sources.map(([name, measured]) => ({
        name,
        getStats: () => ({ stats: measured.getStats(), health: measured.health() }),
      })),
    ),
    {
      metrics: backendRows.map(({ metric }) => metric),
      collect(emit) {
        for (const [name, measured] of sources) {
          for (const [label, stats] of Object.entries(measured.getStats().backends)) {
            for (const { metric, read } of backendRows) {
              const value = read(stats);
              if (value !== undefined) emit(metric, { storage: name, backend: label }, value);
            }
          }
        }
      },
    },
  ];
}
