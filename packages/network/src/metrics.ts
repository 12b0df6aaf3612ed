import {
  type Collector,
  type Row,
  collectTable,
  namedSources,
  rowsFor,
} from '@holdfast/foundation/metrics';
import type { OptionRule } from '@holdfast/foundation';
import type { ResolverStats } from './names/resolver.ts';

/** The resolvers whose numbers are published, by the name they are published under. */
export type MeasuredResolvers = Readonly<Record<string, { getStats(): ResolverStats }>>;

export const measuredResolvers: OptionRule<MeasuredResolvers> = namedSources(['getStats']);

const { counter, gauge, results } = rowsFor<ResolverStats>('resolver');
const rows: readonly Row<ResolverStats>[] = [
  gauge('resolver_names', 'Names kept', ({ names }) => names),
  ...results('resolver_calls_total', 'Calls, by whether they had to wait', {
    hit: ({ hits }) => hits,
    miss: ({ misses }) => misses,
  }),
  counter('resolver_failures_total', 'Calls that rejected', ({ failures }) => failures),
  counter('resolver_stale_answers_total', 'Expired answers', ({ staleAnswers }) => staleAnswers),
  gauge(
    'resolver_stale_age_seconds',
    'How long ago the oldest answer expired that could not be renewed; 0: none',
    ({ staleAgeMs }) => staleAgeMs / 1_000,
  ),
  counter('resolver_prefetches_total', 'Answers renewed early', ({ prefetches }) => prefetches),
  counter('resolver_changes_total', "Changes of a name's addresses", ({ changes }) => changes),
  counter('resolver_evictions_total', 'Names that made room', ({ evictions }) => evictions),
  counter('resolver_queries_total', 'Messages to name servers', ({ queries }) => queries),
  counter('resolver_hedges_total', 'Of these to a further server', ({ hedges }) => hedges),
  counter(
    'resolver_ignored_answers_total',
    'Answers to no question',
    ({ ignoredAnswers }) => ignoredAnswers,
  ),
  gauge('resolver_in_flight', 'Questions being answered', ({ inFlight }) => inFlight),
  gauge('resolver_waiting', 'Questions that wait for their turn', ({ waiting }) => waiting),
  gauge(
    'resolver_failed_addresses',
    'Addresses placed last',
    ({ failedAddresses }) => failedAddresses,
  ),
];

export function resolverCollectors(resolvers: MeasuredResolvers): Collector[] {
  const sources = Object.entries(resolvers).map(([name, resolver]) => ({
    name,
    getStats: () => resolver.getStats(),
  }));
  return collectTable('resolver', rows, sources);
}
