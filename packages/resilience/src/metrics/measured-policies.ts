import type { AdaptiveLimit } from '../adaptive/adaptive-limit.ts';
import type { CircuitBreaker } from '../breaker/circuit-breaker.ts';
import type { KeyedCircuitBreakers } from '../breaker/keyed-circuit-breakers.ts';
import type { Bulkhead } from '../bulkhead/bulkhead.ts';
import {
  objectWith,
  integer,
  InvalidOptionError,
  type OptionRule,
  type ResolvedOptions,
} from '@holdfast/foundation';
import {
  type Collector,
  type MeasuredSource,
  collectTable,
  metricPrefix,
} from '@holdfast/foundation/metrics';
import type { Hedge } from '../hedge/hedge.ts';
import type { RateLimiter } from '../rate-limiter/rate-limiter.ts';
import type { Retry } from '../retry/retry.ts';
import type { ResilienceStack } from '../stack/resilience-stack.ts';
import type { Throttle } from '../adaptive/throttle.ts';
import { collectCircuits } from './circuit-collector.ts';
import {
  adaptiveLimitRows,
  bulkheadRows,
  hedgeRows,
  rateLimiterRows,
  retryRows,
  stackRows,
  throttleRows,
} from './policy-rows.ts';

/**
 * What is measured. Two policies of one kind may not have the same name, those inside of stacks included:
 * these are published under their stack's name. What has no name of its own is given one as the
 * property that holds it.
 */
export interface MeasuredPolicies {
  /** Each with all of its policies. */
  stacks?: readonly ResilienceStack[];
  breakers?: readonly CircuitBreaker[];
  keyedBreakers?: Readonly<Record<string, KeyedCircuitBreakers>>;
  retries?: Readonly<Record<string, Retry>>;
  bulkheads?: readonly Bulkhead[];
  rateLimiters?: readonly RateLimiter[];
  hedges?: Readonly<Record<string, Hedge>>;
  adaptiveLimits?: readonly AdaptiveLimit[];
  throttles?: readonly Throttle[];
  /**
   * How many keys of one set of circuits have a label of their own; all others are only counted. 0 for
   * keys that must not be published, at most 1 000. Default 100.
   */
  maxKeyLabels?: number;
  /** What every metric's name begins with; the dashboards and alerts expect none. Default none. */
  prefix?: string;
}

type ListRule<T> = OptionRule<readonly T[]>;
type NamedRule<T> = OptionRule<Readonly<Record<string, T>>>;

export const measuredShape: {
  readonly stacks: ListRule<ResilienceStack>;
  readonly breakers: ListRule<CircuitBreaker>;
  readonly keyedBreakers: NamedRule<KeyedCircuitBreakers>;
  readonly retries: NamedRule<Retry>;
  readonly bulkheads: ListRule<Bulkhead>;
  readonly rateLimiters: ListRule<RateLimiter>;
  readonly hedges: NamedRule<Hedge>;
  readonly adaptiveLimits: ListRule<AdaptiveLimit>;
  readonly throttles: ListRule<Throttle>;
  readonly maxKeyLabels: OptionRule<number>;
  readonly prefix: OptionRule<string>;
} = {
  stacks: list<ResilienceStack>(['name', 'getStats', 'getHealthState', 'circuitBreakers']),
  breakers: list<CircuitBreaker>(['name', 'state', 'getStats']),
  keyedBreakers: named<KeyedCircuitBreakers>(['kept', 'getStats']),
  retries: named<Retry>(['getStats']),
  bulkheads: list<Bulkhead>(['name', 'getStats']),
  rateLimiters: list<RateLimiter>(['name', 'getStats']),
  hedges: named<Hedge>(['getStats']),
  adaptiveLimits: list<AdaptiveLimit>(['name', 'getStats']),
  throttles: list<Throttle>(['name', 'getStats']),
  maxKeyLabels: integer({ min: 0, max: 1_000, default: 100 }),
  prefix: metricPrefix,
};

/** @throws InvalidOptionError when two policies of one kind have the same name */
export function collectorsOf(
  owner: string,
  policies: Omit<ResolvedOptions<typeof measuredShape>, 'prefix'>,
): readonly Collector[] {
  const distinct = <P extends { readonly name: string }>(field: string, given: P[]): P[] =>
    withDistinctNames(owner, field, given);
  const stacks = distinct('stacks', [...policies.stacks]);
  const ofStacks = <Stats>(
    read: (stack: ResilienceStack) => Stats | undefined,
  ): MeasuredSource<Stats>[] =>
    stacks
      .filter((stack) => read(stack) !== undefined)
      .map((stack) => ({ name: stack.name, getStats: () => read(stack) }));
  const sets = distinct('keyedBreakers', [
    ...stacks.flatMap(({ name, circuitBreakers }) =>
      circuitBreakers === undefined ? [] : [{ name, set: circuitBreakers }],
    ),
    ...Object.entries(policies.keyedBreakers).map(([name, set]) => ({ name, set })),
  ]);
  distinct('breakers', [...sets, ...policies.breakers]);
  return [
    ...collectTable(
      'name',
      stackRows,
      ofStacks((stack) => ({ stats: stack.getStats(), health: stack.getHealthState().level })),
    ),
    ...collectCircuits(
      policies.breakers,
      new Map(sets.map(({ name, set }) => [name, set])),
      policies.maxKeyLabels,
    ),
    ...collectTable(
      'operation',
      retryRows,
      distinct('retries', [
        ...ofStacks((stack) => stack.getStats().retry),
        ...entries(policies.retries),
      ]),
    ),
    ...collectTable(
      'name',
      bulkheadRows,
      distinct('bulkheads', [
        ...ofStacks((stack) => stack.getStats().bulkhead),
        ...policies.bulkheads,
      ]),
    ),
    ...collectTable(
      'name',
      rateLimiterRows,
      distinct('rateLimiters', [
        ...ofStacks((stack) => stack.getStats().rateLimiter),
        ...policies.rateLimiters,
      ]),
    ),
    ...collectTable('name', hedgeRows, entries(policies.hedges)),
    ...collectTable(
      'name',
      adaptiveLimitRows,
      distinct('adaptiveLimits', [...policies.adaptiveLimits]),
    ),
    ...collectTable('name', throttleRows, distinct('throttles', [...policies.throttles])),
  ];
}

/** @throws InvalidOptionError when two policies have the same name */
function withDistinctNames<P extends { readonly name: string }>(
  owner: string,
  field: string,
  given: P[],
): P[] {
  const names = new Set<string>();
  for (const { name } of given) {
    if (names.has(name)) {
      const permitted = 'policies named differently from each other and from the stacks';
      throw new InvalidOptionError(owner, field, name, permitted);
    }
    names.add(name);
  }
  return given;
}

function entries<Stats>(
  policies: Readonly<Record<string, { getStats(): Stats }>>,
): MeasuredSource<Stats>[] {
  return Object.entries(policies).map(([name, policy]) => ({
    name,
    getStats: () => policy.getStats(),
  }));
}

function list<T>(properties: readonly (keyof T & string)[]): OptionRule<readonly T[]> {
  const each = objectWith<T>(properties);
  const permitted = `an array, each of it ${each.permitted}`;
  return {
    permitted,
    parse(value, field, owner) {
      if (!Array.isArray(value)) throw new InvalidOptionError(owner, field, value, permitted);
      return value.map((item, index) => each.parse(item, `${field}[${index}]`, owner));
    },
    defaultValue: () => [],
  };
}

function named<T>(
  properties: readonly (keyof T & string)[],
): OptionRule<Readonly<Record<string, T>>> {
  const each = objectWith<T>(properties);
  const permitted = `an object of names, each of it ${each.permitted}`;
  return {
    permitted,
    parse(value, field, owner) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      return Object.fromEntries(
        Object.entries(value).map(([name, item]) => [
          name,
          each.parse(item, `${field}.${name}`, owner),
        ]),
      );
    },
    defaultValue: () => ({}),
  };
}
