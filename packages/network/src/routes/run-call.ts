import {
  type Clock,
  abortable,
  callSafely,
  isThenable,
  propertyOf,
  withDeadline,
} from '@holdfast/foundation';
import { type RouteAttemptResult, makeAttempts } from './attempts.ts';
import type { CallEnd, NodeOutcome, RouteNode, RunContext } from './balancer.ts';
import type { ResolvedBalancerOptions, ResolvedRunOptions } from './balancer-options.ts';
import { isNotSent, isTurnedAway } from './classify.ts';
import { NodesFailedError, type RouteAttempt, RouteTimeoutError } from './errors.ts';
import type { HedgeDelay } from './hedge-delay.ts';
import type { InternalLease } from './node-lease.ts';

interface RunDeps<N extends RouteNode> {
  readonly options: ResolvedBalancerOptions<N>;
  readonly hedging: HedgeDelay;
  /** @throws NoHealthyInstancesError */
  pick(exclude: readonly string[], mayProbe: boolean): InternalLease<N>;
  onRetry(cause: 'failed' | 'late'): void;
}

/** One call of `run`: its attempts, each on another node. */
export class RunCall<N extends RouteNode, T> {
  readonly #deps: RunDeps<N>;
  readonly #work: (node: N, context: RunContext) => T | PromiseLike<T>;
  readonly #call: ResolvedRunOptions;
  readonly #clock: Clock;
  readonly #tried: string[] = [];
  readonly #failures: RouteAttempt[] = [];
  /** A failure that is an answer: the caller gets it when no node gives a better one. */
  #lastAnswer: { readonly value: T } | undefined;

  constructor(
    deps: RunDeps<N>,
    work: (node: N, context: RunContext) => T | PromiseLike<T>,
    call: ResolvedRunOptions,
  ) {
    this.#deps = deps;
    this.#work = work;
    this.#call = call;
    this.#clock = deps.options.clock;
  }

  async run(): Promise<T> {
    const { name, timeoutMs: usualMs } = this.#deps.options;
    const { timeoutMs = usualMs, signal } = this.#call;
    const late = (): Error =>
      new RouteTimeoutError(`${name} (${this.#tried.join(', ')})`, timeoutMs);
    const result = await withDeadline(this.#clock, timeoutMs, signal, late, (limit) =>
      makeAttempts<T>({
        clock: this.#clock,
        signal: limit,
        next: (cause) => this.#next(cause, limit),
        lateAfterMs: () => this.#lateAfterMs(),
      }),
    );
    if (result.kind === 'done') {
      if (this.#lastAnswer !== undefined) discard(this.#lastAnswer.value);
      return result.value;
    }
    if (this.#lastAnswer !== undefined) return this.#lastAnswer.value;
    const { length } = this.#failures;
    if (result.isFinal || length <= 1) throw result.error;
    throw new NodesFailedError(name, this.#failures);
  }

  #lateAfterMs(): number | undefined {
    const { idempotent } = this.#call;
    return idempotent && this.#tried.length === 1 ? this.#deps.hedging.delayMs() : undefined;
  }

  #next(
    cause: 'first' | 'failed' | 'late',
    outer: AbortSignal,
  ): ((signal: AbortSignal) => Promise<RouteAttemptResult<T>>) | undefined {
    if (this.#tried.length >= this.#deps.options.maxAttempts) return undefined;
    if (cause === 'late' && !this.#deps.hedging.take()) return undefined;
    let lease: InternalLease<N>;
    try {
      // A call that cannot be repeated is not risked on a node that may still be ill.
      lease = this.#deps.pick(this.#tried, this.#call.idempotent && cause !== 'late');
    } catch (error) {
      if (cause !== 'first') return undefined;
      return () => Promise.resolve({ kind: 'failed', error, isFinal: true });
    }
    if (cause !== 'first') this.#deps.onRetry(cause);
    this.#tried.push(lease.node.id);
    const attempt = this.#tried.length;
    return (signal) => this.#attempt(lease, { signal, attempt }, outer);
  }

  async #attempt(
    lease: InternalLease<N>,
    context: RunContext,
    outer: AbortSignal,
  ): Promise<RouteAttemptResult<T>> {
    const { options } = this.#deps;
    const { attemptTimeoutMs = options.attemptTimeoutMs, idempotent } = this.#call;
    const { node } = lease;
    const late = (): Error => new RouteTimeoutError(`node ${node.id}`, attemptTimeoutMs);
    try {
      const value = await withDeadline(
        this.#clock,
        attemptTimeoutMs,
        context.signal,
        late,
        (limit) => this.#callNode(node, { ...context, signal: limit }),
      );
      const end = { kind: 'returned', value } as const;
      const outcome = options.classify(end);
      lease.settle(outcome);
      if (!isForAnother(outcome, end) || !idempotent) return { kind: 'done', value };
      return this.#answeredWithFailure(value);
    } catch (error) {
      if (context.signal.aborted) {
        if (outer.aborted) lease.settle('neutral');
        else lease.abandon();
        return { kind: 'failed', error, isFinal: true };
      }
      const end = { kind: 'threw', error } as const;
      const outcome = options.classify(end);
      lease.settle(outcome);
      const mayGoOn = isForAnother(outcome, end) && (idempotent || isNotSent(error));
      if (mayGoOn) this.#failures.push({ target: node.id, error });
      return { kind: 'failed', error, isFinal: !mayGoOn };
    }
  }

  /** Settles with its signal, also if the work ignores it; what then still comes is discarded. */
  #callNode(node: N, context: RunContext): Promise<T> {
    const work = new Promise<T>((resolve) => {
      resolve(this.#work(node, context));
    });
    return abortable(work, context.signal, () => void work.then(discard, () => {}));
  }

  #answeredWithFailure(value: T): RouteAttemptResult<T> {
    if (this.#lastAnswer !== undefined) discard(this.#lastAnswer.value);
    this.#lastAnswer = { value };
    return { kind: 'failed', error: undefined, isFinal: false };
  }
}

/** Whether another node may do better. */
function isForAnother(outcome: NodeOutcome, end: CallEnd): boolean {
  return outcome === 'failure' || (outcome === 'neutral' && isTurnedAway(end));
}

/** Frees the connection of a response that nobody will read. */
function discard(value: unknown): void {
  const body = propertyOf(value, 'body');
  const cancel = propertyOf(body, 'cancel');
  if (typeof cancel !== 'function') return;
  callSafely('canceling a response that is not needed', () => {
    const canceled: unknown = Reflect.apply(cancel, body, []);
    // A body that is locked or already read cannot be canceled, and need not be.
    if (isThenable(canceled)) Promise.resolve(canceled).catch(() => {});
  });
}
