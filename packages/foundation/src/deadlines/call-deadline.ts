import type { Clock, Timer } from '../clock.ts';
import { onAbort } from '../signals.ts';
import type { QueuedDeadline, DeadlineQueue } from './deadline-queue.ts';

/** Why a call was canceled: its deadline has expired, or a signal of its caller has aborted. */
export type Cancellation =
  | { readonly kind: 'deadline' }
  | { readonly kind: 'signal'; readonly reason: unknown };

/** The current stage of a call. */
export interface Cancellable {
  /** The call is canceled; called at most once. */
  cancel(cancellation: Cancellation): void;
}

const NO_SIGNALS: readonly AbortSignal[] = [];
const NOTHING: readonly (() => void)[] = [];

/**
 * The deadline and the signals of one call, for all its stages: each stage sets `current`, and there is one timer
 * and one listener however many stages there are.
 */
export class CallDeadline implements QueuedDeadline {
  readonly timeoutMs: number;
  readonly endsAtMs: number;
  /** Canceled when the call is. */
  current: Cancellable | undefined = undefined;
  dueMs: number = Infinity;
  list: object | undefined = undefined;
  previous: this | undefined = undefined;
  next: this | undefined = undefined;
  readonly #clock: Clock;
  readonly #deadlines: DeadlineQueue | undefined;
  readonly #timer: Timer | undefined;
  readonly #releaseSignals: readonly (() => void)[] = NOTHING;
  #cancellation: Cancellation | undefined;
  #controller: AbortController | undefined;

  /** @param deadlines of as many milliseconds as the call has; without them it has a timer of its own. */
  constructor(
    clock: Clock,
    timeoutMs: number,
    signals: readonly AbortSignal[] = NO_SIGNALS,
    deadlines?: DeadlineQueue,
  ) {
    const nowMs = clock.now();
    this.#clock = clock;
    this.timeoutMs = timeoutMs;
    this.endsAtMs = nowMs + timeoutMs;
    this.#deadlines = deadlines;
    if (signals.length > 0) {
      const aborted = signals.find((signal) => signal.aborted);
      if (aborted !== undefined) {
        this.#cancellation = { kind: 'signal', reason: aborted.reason };
        return;
      }
      this.#releaseSignals = signals.map((signal) =>
        onAbort(signal, () => this.#end({ kind: 'signal', reason: signal.reason })),
      );
    }
    if (deadlines === undefined) this.#timer = clock.schedule(timeoutMs, () => this.expire());
    else deadlines.add(this, nowMs);
  }

  get cancellation(): Cancellation | undefined {
    return this.#cancellation;
  }

  /** Aborts when the call is canceled: with a TimeoutError at its deadline, else with the reason of its signal. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cancellation !== undefined) this.#abortSignal(this.#cancellation);
    }
    return this.#controller.signal;
  }

  remainingMs(): number {
    return Math.max(0, this.endsAtMs - this.#clock.now());
  }

  /** The deadline has expired. */
  expire(): void {
    this.#end({ kind: 'deadline' });
  }

  /** The call has settled: removes timer and listeners. */
  release(): void {
    this.#timer?.cancel();
    this.#deadlines?.remove(this);
    this.current = undefined;
    for (const release of this.#releaseSignals) release();
  }

  #end(cancellation: Cancellation): void {
    if (this.#cancellation !== undefined) return;
    this.#cancellation = cancellation;
    const { current } = this;
    this.release();
    current?.cancel(cancellation);
    this.#abortSignal(cancellation);
  }

  #abortSignal(cancellation: Cancellation): void {
    this.#controller?.abort(
      cancellation.kind === 'signal'
        ? cancellation.reason
        : new DOMException(`no answer within ${this.timeoutMs} ms`, 'TimeoutError'),
    );
  }
}
