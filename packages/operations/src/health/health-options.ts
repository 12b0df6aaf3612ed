import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type Random,
  boolean,
  callback,
  integer,
  number,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type { HealthCheck, HealthComponent, HealthFleet } from './health.ts';

/** Options of `createHealth`. All times in milliseconds. */
export interface HealthOptions {
  /** What the process stands on, by name. */
  components: Readonly<Record<string, HealthComponent>>;
  /** The name of the service, told by probes. Default `service`. */
  name?: string;
  /** The version of the service, told by probes. Default: none. */
  version?: string;
  /** How often each component is checked, in milliseconds. Default 10 000. */
  intervalMs?: number;
  /** How long one check may take, in milliseconds. Default 2 000. */
  timeoutMs?: number;
  /** The share of the interval by which checks are spread, so that a fleet does not ask at one moment. Default 0.1. */
  jitter?: number;
  /** Failures in a row after which a component counts as failed, once it has worked. Default 2. */
  failuresBeforeDown?: number;
  /** What the fleet says. Default: nothing is known of it. */
  fleet?: HealthFleet;
  /** The share of the fleet from which on a failure of a component makes no instance unready. Default 0.5. */
  fleetWideShare?: number;
  /** What probes tell of components: nothing, name and status, or also reasons. Default `'names'`. */
  details?: 'none' | 'names' | 'full';
  /** Whether the process has started once each critical component has worked; else `markStarted` tells. Default true. */
  startsItself?: boolean;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

const OWNER = 'createHealth';
const HOUR_MS = 3_600_000;
const groups = ['services', 'databases', 'caches', 'queues', 'external'] as const;
const intervalMs = { min: 10, max: HOUR_MS };
const timeoutMs = { min: 1, max: HOUR_MS };

const componentSchema = {
  group: oneOf(groups),
  check: callback<HealthCheck>(),
  critical: boolean(true),
  timeoutMs: optional(integer(timeoutMs)),
  intervalMs: optional(integer(intervalMs)),
};
const components: OptionRule<Readonly<Record<string, ResolvedComponent>>> = {
  permitted: 'an object of components by name',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, 'an object of components by name');
    }
    const entries = Object.entries(value).map(([name, component]) => [
      name,
      parseOptions(owner, componentSchema, component, `${field}.${name}`),
    ]);
    return Object.fromEntries(entries);
  },
};

const schema = {
  components,
  name: string({ maxLength: 200, default: 'service' }),
  version: optional(string({ maxLength: 200 })),
  intervalMs: integer({ ...intervalMs, default: 10_000 }),
  timeoutMs: integer({ ...timeoutMs, default: 2_000 }),
  jitter: number({ min: 0, max: 0.5, default: 0.1 }),
  failuresBeforeDown: integer({ min: 1, max: 100, default: 2 }),
  fleet: optional(objectWith<HealthFleet>(['failingShare', 'publish'])),
  fleetWideShare: number({ min: 0.01, max: 1, default: 0.5 }),
  details: oneOf(['none', 'names', 'full'], 'names'),
  startsItself: boolean(true),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** The options of health with their defaults. */
export interface ResolvedHealthOptions extends Readonly<
  Required<Omit<HealthOptions, 'components' | 'version' | 'fleet'>>
> {
  readonly components: Readonly<Record<string, ResolvedComponent>>;
  readonly version: string | undefined;
  readonly fleet: HealthFleet | undefined;
}

interface ResolvedComponent extends Pick<HealthComponent, 'group' | 'check'> {
  readonly critical: boolean;
  readonly timeoutMs: number | undefined;
  readonly intervalMs: number | undefined;
}

/** @throws InvalidOptionError */
export function parseHealthOptions(options: HealthOptions): ResolvedHealthOptions {
  return parseOptions(OWNER, schema, options);
}
