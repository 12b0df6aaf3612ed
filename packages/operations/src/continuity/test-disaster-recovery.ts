import {
  type Clock,
  callback,
  describeThrown,
  integer,
  objectWith,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import type { Durable } from '../durable/durable.ts';
import { NotSteadyError } from './errors.ts';

/** Options of {@link testDisasterRecovery}. All times in milliseconds. */
export interface DisasterTestOptions {
  /** Asks whether the service does what it is for; says what is wrong. Asked before, and after the recovery. */
  check: (signal: AbortSignal) => Promise<readonly string[]>;
  /** Breaks the old site, for real. */
  trigger: (signal: AbortSignal) => Promise<void>;
  /** Carries out the plan, such as by a `DurableRunner`. */
  recover: (signal: AbortSignal) => Promise<Durable>;
  /** Makes normal again what was broken; called however the test ends. */
  restore: () => Promise<void>;
  /** How long recovery and check may take. Default 900 000. */
  timeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** Ends the test with its reason; `restore` is called. */
  signal?: AbortSignal;
}

/** What a test of the recovery has shown. */
export interface DisasterTestReport {
  readonly isRecovered: boolean;
  /** From the disaster until the check found nothing. */
  readonly rtoMs: number;
  /** What the plan has returned. */
  readonly outcome: Durable;
  /** What is wrong after it. */
  readonly issues: readonly string[];
}

const DAY_MS = 86_400_000;
const schema = {
  check: callback<DisasterTestOptions['check']>(),
  trigger: callback<DisasterTestOptions['trigger']>(),
  recover: callback<DisasterTestOptions['recover']>(),
  restore: callback<DisasterTestOptions['restore']>(),
  timeoutMs: integer({ min: 1, max: DAY_MS, default: 900_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  signal: optional(objectWith<AbortSignal>(['throwIfAborted'])),
};

/**
 * Carries out the disaster plan against a disaster that is real, and restores what it broke.
 *
 * @throws NotSteadyError if the service is not well to begin with; nothing was broken.
 * @throws InvalidOptionError, and whatever `trigger` and `restore` throw.
 */
export async function testDisasterRecovery(
  options: DisasterTestOptions,
): Promise<DisasterTestReport> {
  const { check, trigger, recover, restore, timeoutMs, clock, ...rest } = parseOptions(
    'testDisasterRecovery',
    schema,
    options,
  );
  const ending = new AbortController();
  const late = new Error(`the recovery has not ended in ${timeoutMs} ms`);
  const timer = clock.schedule(timeoutMs, () => ending.abort(late));
  const given = rest.signal === undefined ? [] : [rest.signal];
  const signal = AbortSignal.any([ending.signal, ...given]);
  try {
    const before = await check(signal);
    if (before.length > 0) throw new NotSteadyError(before);
    const beganMs = clock.now();
    try {
      await trigger(signal);
      const { outcome, issues } = await recovery(recover, check, signal);
      const rtoMs = clock.now() - beganMs;
      return { isRecovered: issues.length === 0, rtoMs, outcome, issues };
    } finally {
      await restore();
    }
  } finally {
    timer.cancel();
  }
}

async function recovery(
  recover: DisasterTestOptions['recover'],
  check: DisasterTestOptions['check'],
  signal: AbortSignal,
): Promise<{ readonly outcome: Durable; readonly issues: readonly string[] }> {
  let outcome: Durable = null;
  try {
    outcome = await recover(signal);
    return { outcome, issues: await check(signal) };
  } catch (error) {
    return { outcome, issues: [describeThrown(error)] };
  }
}
