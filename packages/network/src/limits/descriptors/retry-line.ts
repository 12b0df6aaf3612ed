import { type Clock, type Timer } from '@holdfast/foundation';
import { BoundedWait } from '../bounded-wait.ts';

const FIRST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 200;

interface Turn {
  readonly order: number;
  readonly waiter: BoundedWait<void>;
}

/** What a call brings that waits for its turn. */
interface TurnOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly late: () => Error;
}

/**
 * Calls that found no descriptor, in the order in which they first tried. The first tries again when one was released,
 * and after a delay, as others in the process and on the machine release theirs unseen.
 */
export class RetryLine {
  readonly #clock: Clock;
  readonly #turns: Turn[] = [];
  /** The call that tries now, if it is in front of the line. */
  #trying: number | undefined;
  #timer: Timer | undefined;
  #delayMs = FIRST_RETRY_MS;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#turns.length;
  }

  /** Whether a call has to wait for its turn. */
  get isBlocked(): boolean {
    return this.#turns.length > 0 || this.#trying !== undefined;
  }

  /** Resolves when it is this call's turn to try, which `succeeded` or `failed` ends. */
  wait(order: number, { timeoutMs, signal, late }: TurnOptions): Promise<void> {
    const waiter: BoundedWait<void> = new BoundedWait({
      clock: this.#clock,
      timeoutMs,
      signal,
      late,
      leave: () => {
        const at = this.#turns.findIndex((turn) => turn.waiter === waiter);
        if (at >= 0) this.#turns.splice(at, 1);
      },
    });
    const at = this.#turns.findIndex((turn) => turn.order > order);
    this.#turns.splice(at < 0 ? this.#turns.length : at, 0, { order, waiter });
    if (this.#trying === undefined) this.#arm();
    return waiter.promise;
  }

  /** The call got what it wanted, or failed for another reason: the next one tries. */
  ended(order: number): void {
    if (this.#trying !== order) return;
    this.#trying = undefined;
    this.#delayMs = FIRST_RETRY_MS;
    this.tryNext();
  }

  /** There is still nothing. The call waits again. */
  failed(order: number): void {
    if (this.#trying !== order) return;
    this.#trying = undefined;
    this.#delayMs = Math.min(LONGEST_RETRY_MS, this.#delayMs * 2);
  }

  /** A descriptor may have come free. */
  tryNext(): void {
    if (this.#trying !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    const next = this.#turns.shift();
    if (next === undefined) return;
    this.#trying = next.order;
    next.waiter.admit();
  }

  #arm(): void {
    this.#timer ??= this.#clock.schedule(this.#delayMs, () => {
      this.#timer = undefined;
      this.tryNext();
    });
  }

  close(error: () => Error): void {
    this.#timer?.cancel();
    for (const { waiter } of this.#turns.splice(0)) waiter.refuse(error());
  }
}
