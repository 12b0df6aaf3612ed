/**
 * The only door to time. Everything else takes a `Clock`, so that a test can own it and a step of the
 * wall clock changes no decision.
 */
export interface Clock {
  /** Milliseconds since an arbitrary origin, monotonic: the only reading that decisions are made on. */
  now(): number;
  /** Milliseconds since the Unix epoch: for stamps that other processes or people read. */
  epochMs(): number;
  /**
   * Calls `callback` once, `delayMs` from now. Any delay is honoured, those above 2^31-1 ms too.
   * `holdsProcess: false` lets the process exit while the timer is pending.
   */
  schedule(delayMs: number, callback: () => void, options?: { holdsProcess?: boolean }): Timer;
}

/** A pending call of {@link Clock.schedule}. */
export interface Timer {
  /** The callback will not be called any more; cancelling twice, or after the call, does nothing. */
  cancel(): void;
}

/** The longest delay the host's own timers accept; they fire longer ones at once. */
const HOST_TIMER_MAX_MS = 2_147_483_647;

/** The process's own time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  schedule(delayMs, callback, options) {
    const holdsProcess = options?.holdsProcess ?? true;
    let remainingMs = Math.max(0, delayMs);
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      const hopMs = Math.min(remainingMs, HOST_TIMER_MAX_MS);
      remainingMs -= hopMs;
      handle = setTimeout(remainingMs > 0 ? arm : callback, hopMs);
      if (!holdsProcess) handle.unref();
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  },
};

/**
 * Resolves after `delayMs`; rejects with the signal's own reason within one turn of its abort, and
 * leaves neither timer nor listener behind.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.schedule(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
