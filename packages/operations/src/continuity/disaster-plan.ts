import {
  callback,
  integer,
  objectWith,
  optional,
  parseOptions,
  propertyOf,
} from '@holdfast/foundation';
import type { DurableContext, RunFunction, StepContext, StepOptions } from '../durable/durable.ts';
import { StepFailedError } from '../durable/errors.ts';
import { StandbyBehindError } from './errors.ts';

/** What one step of the plan does to the world: it may be called again, and refuses a lower fence than it has seen. */
export type SiteAction = (step: StepContext) => Promise<void>;

/** One way by which traffic reaches a site, such as a DNS record or the origins of a CDN. */
export interface SiteRoute {
  /** Its name; that of its step. */
  readonly name: string;
  /** Leads the traffic to the standby. */
  activate: SiteAction;
}

/** Options of {@link disasterPlan}: the two sites, by what can be done to them. */
export interface DisasterPlanOptions {
  /** How far the standby is behind, in milliseconds, as far as it can be told without the old site. */
  lagMs: (step: StepContext) => Promise<number>;
  /** Keeps the old site from taking writes, and settles once that is certain. */
  fence: SiteAction;
  /** Lets the old site take writes again: if the plan fails before the promotion. */
  unfence: SiteAction;
  /** Makes the standby the one that takes writes. There is no way back from here but a planned one. */
  promote: SiteAction;
  /** Starts the services of the standby. Default: they run. */
  startServices?: SiteAction;
  /** The ways to the standby, in the order in which they are switched. */
  routes: readonly SiteRoute[];
  /** How far the standby may be behind, in milliseconds. Default 60 000. */
  maxLagMs?: number;
  /** Attempts at each step. Default 5. */
  maxAttempts?: number;
  /** The longest that one attempt may take, in milliseconds. Default 60 000. */
  timeoutMs?: number;
  /** The delay before the second attempt, in milliseconds; it doubles. Default 1 000. */
  initialDelayMs?: number;
}

/** How a plan ended. */
export type DisasterOutcome =
  /** The standby serves. */
  | { readonly kind: 'active'; readonly lagMs: number }
  /** A step before the promotion failed; the old site is as it was. */
  | { readonly kind: 'reverted'; readonly failed: string; readonly reason: string }
  /** The standby takes writes, and these steps are left to be done by hand. The old site stays fenced. */
  | { readonly kind: 'incomplete'; readonly missing: readonly string[]; readonly reason: string };

const DAY_MS = 86_400_000;
const MAX_ATTEMPTS = 1_000;
const schema = {
  lagMs: callback<DisasterPlanOptions['lagMs']>(),
  fence: callback<SiteAction>(),
  unfence: callback<SiteAction>(),
  promote: callback<SiteAction>(),
  startServices: optional(callback<SiteAction>()),
  routes: objectWith<readonly SiteRoute[]>(['map']),
  maxLagMs: integer({ min: 0, max: DAY_MS, default: 60_000 }),
  maxAttempts: integer({ min: 1, max: MAX_ATTEMPTS, default: 5 }),
  timeoutMs: integer({ min: 1, max: DAY_MS, default: 60_000 }),
  initialDelayMs: integer({ min: 0, max: DAY_MS, default: 1_000 }),
};

/**
 * The move to the standby site as a function for a `DurableRunner`, which stores its steps outside of both sites:
 *
 *     lag -> fence -> promote -> services -> routes -> active
 *      |       |        |            |         |
 *      |    failed   failed       failed    failed
 *      v       v        v            v         v
 *     reverted <- unfence           incomplete (never back)
 *
 * The old site is fenced before the other is promoted, and traffic moves last: no two sites take writes.
 *
 * @throws InvalidOptionError
 */
export function disasterPlan(options: DisasterPlanOptions): RunFunction<null, DisasterOutcome> {
  const resolved = parseOptions('disasterPlan', schema, options);
  const { maxAttempts, timeoutMs, initialDelayMs } = resolved;
  const settings = { maxAttempts, timeoutMs, initialDelayMs };
  return async (context) => {
    let lagMs = 0;
    try {
      lagMs = await measureLag(context, resolved.lagMs, resolved.maxLagMs, settings);
    } catch (error) {
      return { kind: 'reverted', ...failureOf(error) };
    }
    try {
      await act(context, 'fence', resolved.fence, settings);
      await act(context, 'promote', resolved.promote, settings);
    } catch (error) {
      const failure = failureOf(error);
      await act(context, 'unfence', resolved.unfence, settings);
      return { kind: 'reverted', ...failure };
    }
    const steps = [
      ...(resolved.startServices === undefined
        ? []
        : [{ name: 'services', activate: resolved.startServices }]),
      ...resolved.routes.map(({ name, activate }) => ({ name: `route ${name}`, activate })),
    ];
    const missing: string[] = [];
    const reasons: string[] = [];
    for (const { name, activate } of steps) {
      try {
        await act(context, name, activate, settings);
      } catch (error) {
        missing.push(name);
        reasons.push(failureOf(error).reason);
      }
    }
    if (missing.length === 0) return { kind: 'active', lagMs };
    return { kind: 'incomplete', missing, reason: reasons.join('; ') };
  };
}

async function measureLag(
  context: DurableContext,
  lagMs: DisasterPlanOptions['lagMs'],
  maxLagMs: number,
  settings: StepOptions,
): Promise<number> {
  const measure = async (step: StepContext): Promise<number> => {
    const lag = await lagMs(step);
    if (lag > maxLagMs) throw new StandbyBehindError(lag, maxLagMs);
    return lag;
  };
  return context.step('lag', measure, settings);
}

async function act(
  context: DurableContext,
  name: string,
  action: SiteAction,
  settings: StepOptions,
): Promise<void> {
  const run = async (step: StepContext): Promise<null> => {
    await action(step);
    return null;
  };
  await context.step(name, run, settings);
}

/** What a failed step says; what is no step's failure, such as a lost lease, passes. */
function failureOf(error: unknown): { readonly failed: string; readonly reason: string } {
  if (propertyOf(error, 'code') !== 'DURABLE_STEP_FAILED') throw error;
  if (!(error instanceof StepFailedError)) throw error;
  return { failed: error.step, reason: error.failure.message };
}
