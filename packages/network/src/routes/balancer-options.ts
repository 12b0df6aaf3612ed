import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type Random,
  boolean,
  callback,
  integer,
  number,
  object,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type {
  BalancerOptions,
  CallEnd,
  CheckHealth,
  NodeOutcome,
  OutlierOptions,
  RouteNode,
} from './balancer.ts';
import { outcomeOf, safeClassifier } from './classify.ts';

const OWNER = 'createBalancer';
const MAX_NODES = 5_000;
const MAX_LOCALITIES = 64;
const MAX_NAME_LENGTH = 256;
const HOUR_MS = 3_600_000;

const milliseconds = (fallback: number, min = 1) =>
  number({ min, max: HOUR_MS, default: fallback });
const threshold = (fallback: number) => integer({ min: 1, max: 1_000, default: fallback });

const outlierSchema = {
  consecutiveFailures: threshold(5),
  windowMs: milliseconds(5_000, 100),
  minAnswers: threshold(5),
  errorShare: number({ min: 0.01, max: 1, default: 0.5 }),
  latencyFactor: number({ min: 0, max: 1_000, default: 3 }),
  minLatencyGapMs: milliseconds(10, 0),
  ejectionMs: milliseconds(5_000),
  maxEjectionMs: milliseconds(60_000),
  probeTimeoutMs: milliseconds(10_000),
};
const healthCheckSchema = {
  check: callback<CheckHealth<RouteNode>>(),
  intervalMs: milliseconds(5_000),
  timeoutMs: milliseconds(1_000),
  unhealthyThreshold: threshold(2),
  healthyThreshold: threshold(2),
  maxConcurrent: integer({ min: 1, max: 1_000, default: 8 }),
};

/** The rules of another option, or one value instead. */
function orElse<T, const E>(inner: OptionRule<T>, other: E, absent?: E): OptionRule<T | E> {
  const { defaultValue } = inner;
  return {
    permitted: `${inner.permitted}, or ${String(other)}`,
    parse: (value, field, owner) => (value === other ? other : inner.parse(value, field, owner)),
    ...(absent !== undefined && { defaultValue: () => absent }),
    ...(absent === undefined && defaultValue !== undefined && { defaultValue }),
  };
}

const LOCALITIES = `at most ${MAX_LOCALITIES} distinct strings of 1 to ${MAX_NAME_LENGTH} characters`;
const localities: OptionRule<readonly string[]> = {
  permitted: LOCALITIES,
  parse(value, field, owner) {
    const isList = Array.isArray(value) && value.length <= MAX_LOCALITIES && value.every(isName);
    if (isList && new Set(value).size === value.length) return [...value];
    throw new InvalidOptionError(owner, field, value, LOCALITIES);
  },
  defaultValue: () => [],
};

const schema = {
  name: string({ maxLength: MAX_NAME_LENGTH, default: 'balancer' }),
  nodes: { permitted: nodesPermitted(), parse: parseNodes },
  strategy: oneOf(
    ['consistent-hash', 'least-connections', 'power-of-two', 'round-robin'],
    'power-of-two',
  ),
  boundedLoad: number({ min: 1, max: 100, default: 1.25 }),
  localities,
  spillShare: number({ min: 0.01, max: 1, default: 0.7 }),
  panicShare: number({ min: 0, max: 1, default: 0.5 }),
  outlier: orElse(object(outlierSchema), false as const),
  healthCheck: optional(object(healthCheckSchema)),
  slowStartMs: milliseconds(10_000, 0),
  latencyDecayMs: milliseconds(10_000),
  maxAttempts: integer({ min: 1, max: 10, default: 3 }),
  timeoutMs: milliseconds(30_000),
  attemptTimeoutMs: milliseconds(10_000),
  hedgeAfterMs: orElse(orElse(milliseconds(0), 'auto' as const, 'auto'), false as const),
  classify: callback<(end: CallEnd) => NodeOutcome>(outcomeOf),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

const signal = optional(objectWith<AbortSignal>(['throwIfAborted', 'addEventListener']));
const text = optional(string({ minLength: 0, maxLength: 65_536 }));
const runSchema = {
  key: text,
  sessionId: text,
  locality: text,
  idempotent: boolean(false),
  signal,
  timeoutMs: optional(milliseconds(0)),
  attemptTimeoutMs: optional(milliseconds(0)),
};

/** The options of a balancer with their defaults. */
export interface ResolvedBalancerOptions<N extends RouteNode> extends Readonly<
  Required<Omit<BalancerOptions<N>, 'outlier' | 'healthCheck'>>
> {
  readonly outlier: Readonly<Required<OutlierOptions>> | false;
  readonly healthCheck: ResolvedHealthCheck<N> | undefined;
}

export interface ResolvedHealthCheck<N> {
  check(node: N, signal: AbortSignal): unknown;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  readonly maxConcurrent: number;
}

/** @throws InvalidOptionError */
export function parseBalancerOptions<N extends RouteNode>(
  options: BalancerOptions<N>,
): ResolvedBalancerOptions<N>;
export function parseBalancerOptions(options: BalancerOptions): ResolvedBalancerOptions<RouteNode> {
  const resolved = parseOptions(OWNER, schema, options);
  const { outlier } = resolved;
  if (outlier !== false && outlier.ejectionMs > outlier.maxEjectionMs) {
    const permitted = `at most outlier.maxEjectionMs, ${outlier.maxEjectionMs}`;
    throw new InvalidOptionError(OWNER, 'outlier.ejectionMs', outlier.ejectionMs, permitted);
  }
  return { ...resolved, classify: safeClassifier(resolved.name, resolved.classify) };
}

/** The options of one `run`, checked. */
export interface ResolvedRunOptions {
  readonly key: string | undefined;
  readonly sessionId: string | undefined;
  readonly locality: string | undefined;
  readonly idempotent: boolean;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly attemptTimeoutMs: number | undefined;
}

/** @throws InvalidOptionError */
export function parseRunOptions(given: unknown): ResolvedRunOptions {
  return parseOptions('run', runSchema, given);
}

/** @throws InvalidOptionError naming the node and its field */
export function parseNodes<N extends RouteNode>(
  value: readonly N[],
  field: string,
  owner: string,
): readonly N[];
export function parseNodes(value: unknown, field: string, owner: string): readonly RouteNode[];
export function parseNodes(value: unknown, field: string, owner: string): readonly RouteNode[] {
  if (!Array.isArray(value) || value.length > MAX_NODES) {
    throw new InvalidOptionError(owner, field, value, nodesPermitted());
  }
  const ids = new Set<unknown>();
  for (const [at, node] of value.entries()) {
    checkNode(node, `${field}[${at}]`, owner);
    if (ids.has(node.id)) {
      const permitted = 'distinct from the ids of the other nodes';
      throw new InvalidOptionError(owner, `${field}[${at}].id`, node.id, permitted);
    }
    ids.add(node.id);
  }
  return value;
}

function checkNode(node: unknown, path: string, owner: string): asserts node is RouteNode {
  if (typeof node !== 'object' || node === null) {
    throw new InvalidOptionError(owner, path, node, 'an object with id');
  }
  const { id, weight, locality } = {
    id: undefined,
    weight: undefined,
    locality: undefined,
    ...node,
  };
  const name = `a string of 1 to ${MAX_NAME_LENGTH} characters`;
  if (!isName(id)) throw new InvalidOptionError(owner, `${path}.id`, id, name);
  if (weight !== undefined) integer({ min: 1, max: 100 }).parse(weight, `${path}.weight`, owner);
  if (locality !== undefined && !isName(locality)) {
    throw new InvalidOptionError(owner, `${path}.locality`, locality, name);
  }
}

function nodesPermitted(): string {
  return `an array of at most ${MAX_NODES} nodes`;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length >= 1 && value.length <= MAX_NAME_LENGTH;
}
