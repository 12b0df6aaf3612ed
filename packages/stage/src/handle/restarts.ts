import { type Clock, withDeadline } from '@holdfast/foundation';

/** The restarts of a server that has ended by itself. */
interface Restarts {
  /** Adds a restart that has begun. */
  record(restart: Promise<void>): void;
  /** Settles as the oldest restart that was not returned yet, or as the next one. */
  next(limitMs: number, late: () => Error, signal: AbortSignal): Promise<void>;
}

/** How many restarts that no call has waited for are kept. */
const MAX_KEPT = 100;

export function createRestarts(clock: Clock): Restarts {
  const past: Promise<void>[] = [];
  const waiting: ((restart: Promise<void>) => void)[] = [];
  return {
    record(restart) {
      // A waiter sees the failure; without one, the server stays stopped.
      restart.catch(() => undefined);
      const first = waiting.shift();
      if (first !== undefined) first(restart);
      else if (past.length < MAX_KEPT) past.push(restart);
    },
    next: (limitMs, late, signal) =>
      withDeadline(clock, limitMs, signal, late, (limit) => {
        const known = past.shift();
        if (known !== undefined) return known;
        return new Promise<void>((resolve, reject) => {
          const onAbort = (): void => {
            const index = waiting.indexOf(resolve);
            if (index !== -1) waiting.splice(index, 1);
            reject(limit.reason);
          };
          waiting.push(resolve);
          limit.addEventListener('abort', onAbort, { once: true });
        });
      }),
  };
}
