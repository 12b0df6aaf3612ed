import {
  type Clock,
  type Timer,
  boolean,
  integer,
  objectWith,
  onAbort,
  optional,
  parseOptions,
} from '@holdfast/foundation';

interface DrainOptions {
  readonly drain: boolean;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
}

const schema = {
  drain: boolean(false),
  deadlineMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 10_000 }),
  signal: optional(objectWith<AbortSignal>(['aborted', 'addEventListener'])),
};

/** @throws InvalidOptionError */
export function parseDrain(owner: string, given: unknown): DrainOptions {
  return parseOptions(owner, schema, given);
}

/** Waits until the last call has ended. */
export class IdleWait {
  readonly #waiters = new Set<() => void>();

  /** A call has ended. */
  check(): void {
    for (const waiter of this.#waiters) waiter();
  }

  /** Resolves when `isIdle`, after `deadlineMs`, or when the signal aborts, whichever comes first. */
  wait(
    clock: Clock,
    deadlineMs: number,
    signal: AbortSignal | undefined,
    isIdle: () => boolean,
  ): Promise<void> {
    if (isIdle() || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        stopListening();
        this.#waiters.delete(check);
        resolve();
      };
      const check = (): void => {
        if (isIdle()) end();
      };
      const timer: Timer = clock.schedule(deadlineMs, end);
      const stopListening = onAbort(signal, end);
      this.#waiters.add(check);
    });
  }
}
