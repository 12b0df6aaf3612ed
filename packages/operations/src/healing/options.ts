import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  callback,
  integer,
  number,
  objectWith,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import { recordOf } from '../options/collections.ts';

/** What a condition asks for. All times in milliseconds. */
export interface HealingPolicy {
  /** Cures the target. It must be harmless to repeat. */
  act: (
    target: string,
    context: { readonly attempt: number; readonly signal: AbortSignal },
  ) => Promise<unknown>;
  /** How many of the last `of` reports must show the condition. Default 3. */
  hits?: number;
  /** Default 5. */
  of?: number;
  /** The deadline of the action. Default 30 000. */
  actionTimeoutMs?: number;
  /** How long after the action the condition may take to go. Default 60 000. */
  verifyMs?: number;
  /** After so many actions without success a person is asked. Default 3. */
  maxAttempts?: number;
  /** The pause after an action without success; it doubles each time. Default 60 000. */
  backoffMs?: number;
  /** How long a target must be well for its attempts to be forgotten: what relapses goes on counting. Default 10 minutes. */
  forgetMs?: number;
}

/** Options of `createHealer`. */
export interface HealerOptions {
  /** What is done about each condition. */
  conditions: Readonly<Record<string, HealingPolicy>>;
  /** How many targets there are now. */
  fleetSize: () => number;
  /** The largest share of them in an action or its verification at a time; one always may be. Default 0.1. */
  maxShare?: number;
  /** From this share of targets with one condition on, the cause is not theirs, and none is acted on. Default 0.3. */
  fleetWideShare?: number;
  /** The most actions in an hour. Default 20. */
  maxActionsPerHour?: number;
  /** Whether there is room for an action now, such as capacity without the target. Default always. */
  hasRoom?: (target: string, condition: string) => boolean;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const DAY_MS = 86_400_000;
const OWNER = 'createHealer';

const policySchema = {
  act: callback<HealingPolicy['act']>(),
  hits: integer({ min: 1, max: 1_000, default: 3 }),
  of: integer({ min: 1, max: 1_000, default: 5 }),
  actionTimeoutMs: integer({ min: 1, max: DAY_MS, default: 30_000 }),
  verifyMs: integer({ min: 1, max: DAY_MS, default: 60_000 }),
  maxAttempts: integer({ min: 1, max: 100, default: 3 }),
  backoffMs: integer({ min: 1, max: DAY_MS, default: 60_000 }),
  forgetMs: integer({ min: 1, max: 30 * DAY_MS, default: 600_000 }),
};

/** A policy with every default filled in. */
export type ResolvedPolicy = Readonly<Required<HealingPolicy>>;

const policyRule: OptionRule<ResolvedPolicy> = {
  permitted: 'an object with act',
  parse(value, field, owner) {
    const policy = parseOptions(owner, policySchema, value, field);
    if (policy.hits <= policy.of) return policy;
    throw new InvalidOptionError(owner, `${field}.hits`, policy.hits, `at most of (${policy.of})`);
  },
};

const schema = {
  conditions: recordOf(policyRule, { max: 1_000, isRequired: true }),
  fleetSize: callback<HealerOptions['fleetSize']>(),
  maxShare: number({ min: 0.001, max: 1, default: 0.1 }),
  fleetWideShare: number({ min: 0.001, max: 1, default: 0.3 }),
  maxActionsPerHour: integer({ min: 1, max: 100_000, default: 20 }),
  hasRoom: callback<NonNullable<HealerOptions['hasRoom']>>(() => true),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** The options of `createHealer` with every default filled in. */
export type ResolvedHealerOptions = Readonly<Required<Omit<HealerOptions, 'conditions'>>> & {
  readonly conditions: ReadonlyMap<string, ResolvedPolicy>;
};

/** @throws InvalidOptionError */
export function parseHealerOptions(given: HealerOptions): ResolvedHealerOptions {
  return parseOptions(OWNER, schema, given);
}
