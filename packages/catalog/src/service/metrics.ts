import { type Collector, type Row, rowsFor } from '@holdfast/foundation/metrics';
import type { CatalogStatus } from '../serving/served-catalog.ts';
import type { CatalogServiceStats } from './catalog-service.ts';

interface Readings {
  readonly service: CatalogServiceStats;
  readonly status: CatalogStatus;
}

const { counter, gauge, results } = rowsFor<Readings>();

const rows: readonly Row<Readings>[] = [
  gauge('catalog_generation', 'The generation that is served', ({ status }) =>
    status.origin === undefined ? undefined : status.origin.generation,
  ),
  gauge('catalog_bundles', 'Its bundles', ({ status }) => status.manifest?.rows),
  gauge('catalog_age_seconds', 'Since the API was asked for all of it', ({ status }) =>
    status.origin === undefined ? undefined : status.origin.ageMs / 1_000,
  ),
  gauge('catalog_ready', 'Whether anything is served', ({ status }) =>
    Number(status.origin !== undefined),
  ),
  gauge('catalog_stale', 'Whether it is older than its time to live', ({ status }) =>
    status.origin === undefined ? undefined : Number(status.origin.stale),
  ),
  gauge('catalog_complete', 'Whether all its groups are of that generation', ({ status }) =>
    status.origin === undefined ? undefined : Number(status.origin.complete),
  ),
  gauge('catalog_syncing', 'Whether a sync runs', ({ status }) =>
    Number(status.sync !== undefined),
  ),
  gauge('catalog_sync_bundles', 'Bundles of the sync that runs', ({ status }) => status.sync?.rows),
  gauge('catalog_last_sync_timestamp_seconds', 'When the last sync ended', ({ status }) =>
    status.lastSync === undefined ? undefined : status.lastSync.atEpochMs / 1_000,
  ),
  gauge('catalog_last_sync_failed', 'Whether it failed', ({ status }) =>
    status.lastSync === undefined ? undefined : Number(status.lastSync.error !== undefined),
  ),
  ...results('catalog_answers_total', 'Answers by their tier', {
    api: ({ service }) => service.answers.api,
    cache: ({ service }) => service.answers.cache,
    memory: ({ service }) => service.answers.memory,
    backup: ({ service }) => service.answers.backup,
  }),
  counter(
    'catalog_stale_answers_total',
    'Answers over their time to live',
    ({ service }) => service.staleAnswers,
  ),
  ...results('catalog_http_requests_total', 'Requests by what they got', {
    ok: ({ service }) => service.requests.ok,
    refused: ({ service }) => service.requests.refused,
    unavailable: ({ service }) => service.requests.unavailable,
    failed: ({ service }) => service.requests.failed,
  }),
  {
    metric: {
      name: 'catalog_http_request_duration_seconds',
      kind: 'histogram',
      help: 'Until the response was written',
      labelNames: [],
    },
    read: ({ service }) => service.durations,
  },
  gauge('catalog_event_clients', 'Clients of /events', ({ service }) => service.eventClients),
];

/** All numbers of a service and its catalog, read when somebody scrapes them. */
export function serviceCollector(read: () => Readings): Collector {
  const labeled = rows.map((row) => ({ ...row, labels: row.labels ?? {} }));
  return {
    metrics: [...new Set(rows.map(({ metric }) => metric))],
    collect(emit) {
      const readings = read();
      for (const { metric, labels, read: readValue } of labeled) {
        const value = readValue(readings);
        if (value !== undefined) emit(metric, labels, value);
      }
    },
  };
}
