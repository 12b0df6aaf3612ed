import {
  type Random,
  callSafely,
  describeThrown,
  exponentialBackoff,
  isThenable,
} from '@holdfast/foundation';
import { JobTimeoutError, SchemaViolationError, UnrecoverableError } from '../errors.ts';
import type { Delivery } from '../backend.ts';
import type { ResolvedProcessOptions } from '../options.ts';
import { backoffDelayMs, jobOptionsOf } from '../producer/job-options.ts';

/** The longest delay between attempts, unless the first one is longer. */
const MAX_DELAY_MS = 60_000;
/** Later delays are as long as this one. */
const LAST_DELAY = 32;

/** What becomes of a job whose attempt failed. */
type Verdict = { readonly kind: 'bury' } | { readonly kind: 'retry'; readonly delayMs: number };

const BURY: Verdict = { kind: 'bury' };
const MAX_CHOSEN_DELAY_MS = 10 * 365 * 86_400_000;

interface Attributed {
  readonly attributes?: string | undefined;
}

/** A job that was taken over. */
type DiedWith = Pick<Delivery, 'deliveries' | 'crashes'> & Attributed;

/** Decides on the jobs that failed, by the options of their consumer. */
export class Attempts {
  readonly #topic: string;
  readonly #options: ResolvedProcessOptions;
  readonly #delayMs: (attempt: number) => number;

  constructor(topic: string, options: ResolvedProcessOptions, random: Random) {
    this.#topic = topic;
    this.#options = options;
    this.#delayMs = retryDelays(options.retryDelayMs, random);
  }

  /** How long one attempt at the job may take. */
  timeoutMsOf({ attributes }: Attributed): number | undefined {
    if (attributes === undefined) return this.#options.timeoutMs;
    return jobOptionsOf(attributes).timeoutMs ?? this.#options.timeoutMs;
  }

  /** Whether a job that consumers died with is not tried again. */
  diedTooOften({ deliveries, crashes = 0, attributes }: DiedWith): boolean {
    const { maxCrashes, whenExhausted } = this.#options;
    if (whenExhausted !== 'dead-letter') return false;
    if (maxCrashes !== undefined) return crashes >= maxCrashes;
    return deliveries > this.#maxAttemptsOf({ attributes });
  }

  /** Whether a job that consumers died with is not tried again if this one dies as well. */
  isLast({ deliveries, crashes = 0, attributes }: DiedWith): boolean {
    const { maxCrashes } = this.#options;
    if (maxCrashes !== undefined) return crashes > 0 && crashes + 1 >= maxCrashes;
    return deliveries > 1 && deliveries >= this.#maxAttemptsOf({ attributes });
  }

  #maxAttemptsOf({ attributes }: Attributed): number {
    return jobOptionsOf(attributes).maxAttempts ?? this.#options.maxAttempts;
  }

  judge(error: unknown, attempt: number, { attributes }: Attributed): Verdict {
    if (isUnrecoverable(error)) return BURY;
    const { whenExhausted } = this.#options;
    const { maxAttempts = this.#options.maxAttempts, backoff } = jobOptionsOf(attributes);
    // What does not fit the schema now will not fit it later either.
    const isFinal = attempt >= maxAttempts || error instanceof SchemaViolationError;
    if (isFinal && whenExhausted === 'dead-letter') return BURY;
    const chosen = this.#ask(error, attempt);
    if (chosen === 'bury') return BURY;
    const ownMs = backoff && backoffDelayMs(backoff, attempt);
    return { kind: 'retry', delayMs: chosen ?? ownMs ?? this.#delayMs(attempt) };
  }

  /** What the caller's own function says; nothing, where it fails. */
  #ask(error: unknown, attempt: number): number | 'bury' | undefined {
    const { retry } = this.#options;
    if (retry === undefined) return undefined;
    let answer: unknown;
    try {
      answer = retry(error, attempt);
    } catch (thrown) {
      this.#warn(`threw: ${describeThrown(thrown)}`);
      return undefined;
    }
    if (answer === undefined || answer === 'bury') return answer;
    if (typeof answer === 'number' && answer >= 0)
      return Math.min(Math.ceil(answer), MAX_CHOSEN_DELAY_MS);
    // It may reject, which nobody waits for.
    if (isThenable(answer)) callSafely('the option retry', () => answer);
    this.#warn(
      `returned ${describeThrown(answer)}, not a delay in milliseconds, 'bury' or undefined`,
    );
    return undefined;
  }

  #warn(what: string): void {
    process.emitWarning(`the option retry of the consumer of ${this.#topic} ${what}`);
  }
}

/** By its name: it may be thrown through another copy of this module, or be that of BullMQ. */
function isUnrecoverable(error: unknown): boolean {
  if (error instanceof JobTimeoutError) return isUnrecoverable(error.cause);
  return (
    error instanceof UnrecoverableError ||
    (error instanceof Error && error.name === 'UnrecoverableError')
  );
}

/** The delay after the failed attempt of this number, in milliseconds; it doubles from one attempt to the next. */
export function retryDelays(initialDelayMs: number, random: Random): (attempt: number) => number {
  const maxDelayMs = Math.max(initialDelayMs, MAX_DELAY_MS);
  const backoff = exponentialBackoff({ initialDelayMs, maxDelayMs });
  return (attempt) => {
    const delays = backoff.delays(random);
    let delayMs = delays.next().value;
    for (let number = 1; number < Math.min(attempt, LAST_DELAY); number += 1) {
      delayMs = delays.next().value;
    }
    return delayMs;
  };
}
