import { type Clock, onAbort } from '@holdfast/foundation';

/** Waits for what another process does about a key. Made before Redis is asked, so that nothing is missed between. */
interface KeyWaiter {
  /** Resolves when woken, at the latest after `limitMs`. @throws the signal's own reason */
  wait(limitMs: number, signal: AbortSignal): Promise<void>;
  cancel(): void;
}

export class KeyWaiters {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  add(key: string): KeyWaiter {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(key) ?? new Set();
    waiting.add(resolve);
    this.#waiting.set(key, waiting);
    return {
      wait: async (limitMs, signal) => {
        signal.throwIfAborted();
        const release = onAbort(signal, () => reject(signal.reason));
        const timer = this.#clock.schedule(limitMs, resolve);
        try {
          await promise;
        } finally {
          timer.cancel();
          release();
        }
      },
      cancel: () => {
        waiting.delete(resolve);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
      },
    };
  }

  wake(key: string): void {
    for (const resolve of this.#waiting.get(key) ?? []) resolve();
  }

  wakeAll(): void {
    for (const key of this.#waiting.keys()) this.wake(key);
  }
}
