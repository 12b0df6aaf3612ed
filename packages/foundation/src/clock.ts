import { onAbort } from './signals.ts';

/**
 * The only access to time. All other code takes a `Clock`, so that a test can control it, and decisions use the
 * monotonic reading, so that a step of the wall clock changes none of them.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary origin: for every decision. */
  now(): number;
  /** Milliseconds since the Unix epoch: for timestamps that other processes or people read. */
  epochMs(): number;
  /**
   * Calls `callback` once, `delayMs` from now. Delays over 2^31-1 ms are supported.
   * `holdsProcess: false` lets the process exit while the timer is pending.
   */
  schedule(delayMs: number, callback: () => void, options?: { holdsProcess?: boolean }): Timer;
}

/** A pending call of {@link Clock.schedule}. */
export interface Timer {
  /** Prevents the call. Canceling twice, or after the call, does nothing. */
  cancel(): void;
  /**
   * Arms a pending timer again, with the time that is left, if it may be lost: a test may clear faked timers. For
   * a timer that many calls share; each calls it before it relies on the timer. A clock whose timers cannot be
   * lost has no need of it.
   */
  rearm?(): void;
}

/**
 * Resolves after `delayMs`, or rejects with the signal's own reason as soon as it aborts. No timer and no
 * listener remains when it has settled.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const release = onAbort(signal, () => {
      timer.cancel();
      reject(signal?.reason);
    });
    const timer = clock.schedule(delayMs, () => {
      release();
      resolve();
    });
  });
}
