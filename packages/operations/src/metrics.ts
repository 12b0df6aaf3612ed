import {
  type Collector,
  type Row,
  collectTable,
  namedSources,
  rowsFor,
} from '@holdfast/foundation/metrics';
import type { OptionRule } from '@holdfast/foundation';
import type { DegradationStats } from './degradation/degradation.ts';
import type { HealthStats } from './health/health.ts';
import type { DistributedRateLimiterStats } from './limiter/rate-limiter.ts';
import type { LoadShedderStats } from './shedding/shedding.ts';

type Sources<Stats> = Readonly<Record<string, { getStats(): Stats }>>;

/** What is measured, by the name that is its label. */
export interface MeasuredOperations {
  /** Default: none, as for the others. */
  health?: Sources<HealthStats>;
  limiters?: Sources<DistributedRateLimiterStats>;
  degradation?: Sources<DegradationStats>;
  shedders?: Sources<LoadShedderStats>;
}

type Measured = Required<MeasuredOperations>;

const sources = <Stats>(): OptionRule<Sources<Stats>> => ({
  ...namedSources<{ getStats(): Stats }>(['getStats']),
  defaultValue: () => ({}),
});

export const measuredOperations: {
  readonly [Key in keyof Measured]: OptionRule<Measured[Key]>;
} = {
  health: sources<HealthStats>(),
  limiters: sources<DistributedRateLimiterStats>(),
  degradation: sources<DegradationStats>(),
  shedders: sources<LoadShedderStats>(),
};

const count = (states: Readonly<Record<string, string>>, state: string): number =>
  Object.values(states).filter((each) => each === state).length;

const ofHealth = rowsFor<HealthStats>('health');
const healthRows: readonly Row<HealthStats>[] = [
  ofHealth.gauge('health_ready', 'Whether the process is ready', (stats) => Number(stats.isReady)),
  ofHealth.gauge('health_failing', 'Components that fail', (stats) =>
    count(stats.components, 'fail'),
  ),
  ofHealth.gauge('health_degraded', 'Components that work in part', (stats) =>
    count(stats.components, 'warn'),
  ),
  ofHealth.counter('health_checks_total', 'Checks', ({ checks }) => checks),
  ofHealth.counter('health_failures_total', 'Checks that failed', ({ failures }) => failures),
  ofHealth.counter('health_timeouts_total', 'Checks given up', ({ timeouts }) => timeouts),
  ofHealth.gauge('health_hanging', 'Calls of checks that hang', ({ hanging }) => hanging),
];

const ofLimiter = rowsFor<DistributedRateLimiterStats>('limiter');
const limiterRows: readonly Row<DistributedRateLimiterStats>[] = [
  ofLimiter.gauge('rate_limit_store_up', 'Whether the store counts', (stats) =>
    Number(stats.isStoreUp),
  ),
  ...ofLimiter.results('rate_limit_requests_total', 'Requests', {
    allowed: ({ allowed }) => allowed,
    limited: ({ limited }) => limited,
    'store-down': ({ storeDown }) => storeDown,
  }),
  ofLimiter.counter(
    'rate_limit_by_share_total',
    'Requests allowed by the share of the instance',
    ({ allowedByShare }) => allowedByShare,
  ),
  ofLimiter.counter('rate_limit_timeouts_total', 'Calls given up', ({ timeouts }) => timeouts),
  ofLimiter.gauge('rate_limit_factor', 'What the load leaves', ({ loadFactor }) => loadFactor),
];

const ofFeatures = rowsFor<DegradationStats>('features');
const featureRows: readonly Row<DegradationStats>[] = [
  ofFeatures.gauge('features_off', 'Features that are off', ({ features }) =>
    count(features, 'off'),
  ),
  ofFeatures.gauge('features_degraded', 'Features that work in part', ({ features }) =>
    count(features, 'degraded'),
  ),
  ofFeatures.counter('feature_changes_total', 'Changes of features', ({ changes }) => changes),
];

const ofShedder = rowsFor<LoadShedderStats>('shedder');
const shedderRows: readonly Row<LoadShedderStats>[] = [
  ofShedder.gauge('shedding_limit', 'Requests that may run', ({ limit }) => limit),
  ofShedder.gauge('shedding_running', 'Requests that run', ({ running }) => running),
  ofShedder.gauge('shedding_waiting', 'Requests that wait', ({ waiting }) => waiting),
  ofShedder.gauge('shedding_overloaded', 'Whether waits are too long', (stats) =>
    Number(stats.isOverloaded),
  ),
  ...ofShedder.results('shedding_shed_total', 'Requests refused, by class', {
    critical: ({ shed }) => shed.critical,
    normal: ({ shed }) => shed.normal,
    background: ({ shed }) => shed.background,
  }),
];

export function operationsCollectors(measured: Measured): Collector[] {
  return [
    ...collectTable('health', healthRows, named(measured.health)),
    ...collectTable('limiter', limiterRows, named(measured.limiters)),
    ...collectTable('features', featureRows, named(measured.degradation)),
    ...collectTable('shedder', shedderRows, named(measured.shedders)),
  ];
}

function named<Stats>(given: Sources<Stats>): { name: string; getStats: () => Stats }[] {
  return Object.entries(given).map(([name, source]) => ({
    name,
    getStats: () => source.getStats(),
  }));
}
