import { abortable } from '@holdfast/foundation';

/**
 * One run that many callers wait for, each with a signal of its own. It is canceled when all of them have aborted, unless
 * it is kept.
 */
export class SharedRun<T> {
  /** How it ends; for those who never abort. */
  readonly result: Promise<T>;
  /** Resolves when it has let go of everything, which may be after `result` when it was canceled. */
  readonly ended: Promise<unknown>;
  readonly #abandoned = new AbortController();
  #waiting = 0;
  #isKept = false;

  /** @param closing cancels it for all. */
  constructor(start: (signal: AbortSignal) => Promise<T>, closing: AbortSignal) {
    const signal = AbortSignal.any([closing, this.#abandoned.signal]);
    const running = start(signal);
    this.ended = Promise.allSettled([running]);
    this.result = abortable(running, signal);
    this.result.catch(() => undefined);
  }

  /** Goes on also when nobody waits. */
  keep(): this {
    this.#isKept = true;
    return this;
  }

  /** @throws the signal's own reason; what the run throws */
  join(signal: AbortSignal | undefined): Promise<T> {
    if (signal === undefined) return this.keep().result;
    this.#waiting += 1;
    return abortable(this.result, signal, () => {
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#isKept) this.#abandoned.abort(signal.reason);
    });
  }
}
