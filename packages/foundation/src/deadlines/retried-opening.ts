import type { Clock, Timer } from '../clock.ts';

/**
 * Opens a resource once. When that fails, each later call tries again, and so does a timer, because a consumer may
 * wait without calling anything: an owner that held the resource may be gone since.
 *
 *     opening ──▶ open
 *       ▲  │ failed
 *       │  ▼
 *     refused      (again at the next call, or after `retryMs`)
 */
export class RetriedOpening<T> {
  readonly #open: () => Promise<T>;
  readonly #clock: Clock;
  readonly #retryMs: number;
  #attempt: Promise<T>;
  #failure: { readonly cause: unknown } | undefined;
  #lastFailure: { readonly cause: unknown } | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  /** Begins to open. @param retryMs the delay of the next attempt that nobody asks for. */
  constructor(open: () => Promise<T>, { clock, retryMs }: { clock: Clock; retryMs: number }) {
    this.#open = open;
    this.#clock = clock;
    this.#retryMs = retryMs;
    this.#attempt = this.#begin();
  }

  /** The error of the last attempt that has ended; `undefined` while it succeeded, or none has ended. */
  get failure(): unknown {
    return this.#lastFailure?.cause;
  }

  /** What was opened; begins another attempt when the last one has failed. */
  get(): Promise<T> {
    if (this.#failure !== undefined && !this.#isClosed) this.#attempt = this.#begin();
    return this.#attempt;
  }

  #begin(): Promise<T> {
    this.#failure = undefined;
    this.#timer?.cancel();
    const attempt = this.#open();
    attempt.then(
      () => {
        this.#lastFailure = undefined;
      },
      (cause: unknown) => {
        this.#failure = { cause };
        this.#lastFailure = this.#failure;
        if (this.#isClosed) return;
        const again = (): void => void this.get();
        this.#timer = this.#clock.schedule(this.#retryMs, again, { holdsProcess: false });
      },
    );
    return attempt;
  }

  /** Begins no further attempt. @returns what is open, so that it can be closed. */
  close(): Promise<T | undefined> {
    this.#isClosed = true;
    this.#timer?.cancel();
    return this.#attempt.catch(() => undefined);
  }
}
