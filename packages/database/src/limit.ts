import type { Clock, Timer } from '@holdfast/resilience';

/** Why a call may not go on: its time is over, or a signal of its caller was aborted. */
export type Over =
  | { readonly by: 'deadline' }
  | { readonly by: 'signal'; readonly reason: unknown };

/**
 * One call's deadline and signals, for all its stages: each stage says what is to be done when the call is
 * over, and there is one timer and one listener however many there are.
 */
export class Limit {
  readonly timeoutMs: number;
  readonly endsAtMs: number;
  /** What the present stage does when the call is over; called at most once. */
  interrupt: ((over: Over) => void) | undefined;
  readonly #clock: Clock;
  readonly #signals: readonly AbortSignal[];
  readonly #timer: Timer | undefined;
  readonly #onAbort: (event: Event) => void;
  #over: Over | undefined;

  constructor(clock: Clock, timeoutMs: number, ...signals: (AbortSignal | undefined)[]) {
    this.#clock = clock;
    this.timeoutMs = timeoutMs;
    this.endsAtMs = clock.now() + timeoutMs;
    this.#signals = signals.filter((signal) => signal !== undefined);
    this.#onAbort = () => this.#abort();
    this.#abort();
    if (this.#over !== undefined) return;
    for (const signal of this.#signals) signal.addEventListener('abort', this.#onAbort);
    this.#timer = clock.schedule(timeoutMs, () => this.#end({ by: 'deadline' }));
  }

  get over(): Over | undefined {
    return this.#over;
  }

  remainingMs(): number {
    return Math.max(0, this.endsAtMs - this.#clock.now());
  }

  /** The call has settled: nothing of this is left behind. */
  release(): void {
    this.#timer?.cancel();
    this.interrupt = undefined;
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#onAbort);
  }

  #abort(): void {
    const aborted = this.#signals.find((signal) => signal.aborted);
    if (aborted !== undefined) this.#end({ by: 'signal', reason: aborted.reason });
  }

  #end(over: Over): void {
    if (this.#over !== undefined) return;
    this.#over = over;
    const { interrupt } = this;
    this.release();
    interrupt?.(over);
  }
}
