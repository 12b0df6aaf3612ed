import type { ExecutingCircuit } from '../breaker/executing-circuit.ts';
import { abortable, isHoldfastError, withDeadline } from '@holdfast/foundation';
import type { CallOutcome, Failed, Refused } from '../call-outcome.ts';
import type { DeferredAbort } from '../timeout/guarded-call.ts';
import { type NextStep, type RetryCounters, RetryState } from '../retry/retry-state.ts';
import { Backoffs } from './backoffs.ts';
import type { StackAttempts, StackCall } from './stack-attempts.ts';
import { closedOutcome } from './stack-closed-error.ts';
import type { StackDeps } from './stack-options.ts';

/** The calls of a stack after their first attempt. */
export class StackRetries {
  readonly #deps: StackDeps;
  readonly #attempts: StackAttempts;
  readonly #backoffs: Backoffs;

  constructor(deps: StackDeps, attempts: StackAttempts) {
    this.#deps = deps;
    this.#attempts = attempts;
    this.#backoffs = new Backoffs(deps.clock);
  }

  /** Makes further attempts after a first one that is {@link retriable}. */
  async run<T>(
    call: StackCall<T>,
    firstOutcome: CallOutcome<T>,
    retry: RetryCounters,
  ): Promise<CallOutcome<T>> {
    const { name, clock } = this.#deps;
    const state = new RetryState(retry, call.endMs ?? clock.now() + retry.options.timeoutMs);
    let outcome = firstOutcome;
    let hasStarted = false;
    while (outcome.kind === 'failure' || outcome.kind === 'refused') {
      hasStarted ||= outcome.kind === 'failure';
      const error = errorOf(outcome, call.circuit);
      if (retriable(outcome, retry) === undefined) {
        return hasStarted ? { kind: 'failure', error: state.refused(error) } : outcome;
      }
      try {
        const step = await this.#nextStep(state, error, call);
        if (step.kind === 'fail') {
          if (step.error === error) return outcome;
          return hasStarted
            ? { kind: 'failure', error: step.error }
            : { ...outcome, error: step.error };
        }
        const hasWaited = await this.#backoffs.wait(step.delayMs, call.signal);
        outcome = hasWaited ? await this.#attempts.run(call) : closedOutcome(name);
      } catch (reason) {
        return { kind: 'aborted', reason };
      }
      abortIfLate(call);
    }
    if (outcome.kind === 'value') retry.succeeded(state.attemptNumber);
    return outcome;
  }

  /** The stack has closed: no backoff goes on, and no further attempt is made. */
  end(): void {
    this.#backoffs.end();
  }

  /**
   * The consequence of a failure. A user's function that returns a promise is awaited until the call's time is over.
   * @throws the reason of the call's signal.
   */
  #nextStep(
    state: RetryState,
    error: unknown,
    { signal, endMs }: Pick<StackCall<unknown>, 'signal' | 'endMs'>,
  ): NextStep | Promise<NextStep> {
    const step = state.next(error);
    if (!(step instanceof Promise)) return step;
    const { clock, retry } = this.#deps;
    const timeoutMs = retry?.options.timeoutMs ?? 0;
    const restMs = Math.max(0, (endMs ?? clock.now() + timeoutMs) - clock.now());
    return withDeadline(
      clock,
      restMs,
      signal,
      () => state.timedOut(),
      (within) => abortable(step, within),
    ).catch((reason: unknown): NextStep => {
      signal?.throwIfAborted();
      return { kind: 'fail', error: reason };
    });
  }
}

/** Aborts work whose deadline has expired, in the async context of its own call. */
export function abortIfLate(call: DeferredAbort): void {
  call.abortWork?.();
  call.abortWork = undefined;
}

/**
 * The outcome, if another attempt may follow. A refusal by the rate limiter, outside the retry, is final, and so is
 * one that will not pass, such as that of a closed stack.
 */
export function retriable(
  outcome: CallOutcome<unknown>,
  { options }: RetryCounters,
): Failed | Refused | undefined {
  if (outcome.kind === 'failure') return outcome;
  if (outcome.kind !== 'refused' || outcome.policy === 'rate-limiter') return undefined;
  if (isHoldfastError(outcome.error) && !outcome.error.retryable) return undefined;
  return options.retryableErrors.retriesRefusals ? outcome : undefined;
}

/** The error that `execute` throws for an outcome without a value. */
export function errorOf(outcome: Failed | Refused, circuit: ExecutingCircuit | undefined): unknown {
  if (outcome.kind === 'failure') return outcome.error;
  return outcome.error ?? circuit?.openError();
}
