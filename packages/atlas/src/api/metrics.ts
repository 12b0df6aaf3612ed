import { rowsFor, type Row, collectTable } from '@holdfast/foundation/metrics';
import { publishToPrometheus } from '@holdfast/foundation/prometheus';
import type { ResilienceStack } from '@holdfast/resilience';
import { registerPrometheusMetrics } from '@holdfast/resilience/prometheus';
import { Registry } from 'prom-client';
import type { ShadowAtlasStats } from './exchange.ts';

const { counter, gauge } = rowsFor<ShadowAtlasStats>();

const rows: readonly Row<ShadowAtlasStats>[] = [
  gauge('atlas_clients', 'Clients whose limits are kept', ({ clients }) => clients.keys),
  counter(
    'atlas_rate_limited_total',
    'Lookups over the limit of their client',
    ({ clients }) => clients.rejectedCount,
  ),
  counter(
    'atlas_stale_answers_total',
    'Answers of earlier lookups, served for a failure',
    ({ staleAnswers }) => staleAnswers,
  ),
  gauge('atlas_snapshots', 'Positions whose answers are kept', ({ snapshots }) => snapshots),
];

/** The numbers of the stack by the names of its dashboard, and those of the API. */
export function createMetrics(
  stack: ResilienceStack,
  getStats: () => ShadowAtlasStats,
): { readonly registry: Registry; readonly unpublish: () => void } {
  const registry = new Registry();
  const takeOut = registerPrometheusMetrics({ registry, stacks: [stack] });
  const unpublish = publishToPrometheus('ShadowAtlasAPI', {
    registry,
    collectors: collectTable('name', rows, [{ name: stack.name, getStats }]),
    prefix: '',
  });
  return {
    registry,
    unpublish: () => {
      takeOut();
      unpublish();
    },
  };
}
