import type { Clock, Deadline, Deadlines, Timer } from '@holdfast/resilience';

/** Why a call may not go on: its time is over, or a signal of its caller was aborted. */
export type Over =
  | { readonly by: 'deadline' }
  | { readonly by: 'signal'; readonly reason: unknown };

/** What a call is waiting for at the moment. */
export interface Stage {
  /** The call is over; called at most once. */
  interrupt(over: Over): void;
}

const NO_SIGNALS: readonly AbortSignal[] = [];

/**
 * One call's deadline and signals, for all its stages: each stage says what is to be done when the call is
 * over, and there is one timer and one listener however many there are.
 */
export class Limit implements Deadline {
  readonly timeoutMs: number;
  readonly endsAtMs: number;
  /** Told when the call is over. */
  stage: Stage | undefined = undefined;
  dueMs: number = Infinity;
  earlier: Deadline | undefined = undefined;
  later: Deadline | undefined = undefined;
  readonly #clock: Clock;
  readonly #signals: readonly AbortSignal[];
  readonly #deadlines: Deadlines | undefined;
  readonly #timer: Timer | undefined;
  readonly #onAbort: (() => void) | undefined;
  #over: Over | undefined;

  /** @param deadlines of as many milliseconds as the call has; without them it has a timer of its own. */
  constructor(
    clock: Clock,
    timeoutMs: number,
    signals: readonly AbortSignal[] = NO_SIGNALS,
    deadlines?: Deadlines,
  ) {
    const nowMs = clock.now();
    this.#clock = clock;
    this.timeoutMs = timeoutMs;
    this.endsAtMs = nowMs + timeoutMs;
    this.#signals = signals;
    this.#deadlines = deadlines;
    if (signals.length > 0) {
      const onAbort = (): void => this.#abort();
      this.#onAbort = onAbort;
      onAbort();
      if (this.#over !== undefined) return;
      for (const signal of signals) signal.addEventListener('abort', onAbort);
    }
    if (deadlines === undefined) this.#timer = clock.schedule(timeoutMs, () => this.expire());
    else deadlines.add(this, nowMs);
  }

  get over(): Over | undefined {
    return this.#over;
  }

  remainingMs(): number {
    return Math.max(0, this.endsAtMs - this.#clock.now());
  }

  /** The time is over. */
  expire(): void {
    this.#end({ by: 'deadline' });
  }

  /** The call has settled: nothing of this is left behind. */
  release(): void {
    this.#timer?.cancel();
    this.#deadlines?.remove(this);
    this.stage = undefined;
    if (this.#onAbort === undefined) return;
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#onAbort);
  }

  #abort(): void {
    const aborted = this.#signals.find((signal) => signal.aborted);
    if (aborted !== undefined) this.#end({ by: 'signal', reason: aborted.reason });
  }

  #end(over: Over): void {
    if (this.#over !== undefined) return;
    this.#over = over;
    const { stage } = this;
    this.release();
    stage?.interrupt(over);
  }
}
