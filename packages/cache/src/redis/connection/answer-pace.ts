import type { Clock } from '@holdfast/foundation';

/** The part of its time after which a call without an answer is late. */
const LATE_SHARE = 0.1;
/** A server that always takes its time is late only after several times that. */
const LATE_FACTOR = 4;
/** How much the newest answer counts in the mean. */
const NEWEST = 0.1;

interface Watch {
  /** The call is answered, or has failed. */
  end(isAnswered: boolean): void;
}

/** How promptly Redis answers: a call that is late says that others had better not wait with it. */
export class AnswerPace {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #meanMs = 0;
  #late = 0;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether a call is late that has not ended yet. */
  get isLate(): boolean {
    return this.#late > 0;
  }

  /** Watches a call that begins now. */
  watch(onLate?: () => void): Watch {
    const beganMs = this.#clock.now();
    const lateMs = Math.max(this.#timeoutMs * LATE_SHARE, this.#meanMs * LATE_FACTOR);
    let hasEnded = false;
    let isLate = false;
    const timer = this.#clock.schedule(lateMs, () => {
      // The answer may have arrived while this process was busy: one turn for what is in the socket.
      setImmediate(() => {
        if (hasEnded) return;
        isLate = true;
        this.#late += 1;
        onLate?.();
      });
    });
    return {
      end: (isAnswered) => {
        hasEnded = true;
        timer.cancel();
        if (isLate) this.#late -= 1;
        if (isAnswered) this.#meanMs += NEWEST * (this.#clock.now() - beganMs - this.#meanMs);
      },
    };
  }
}
