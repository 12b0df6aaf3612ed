import { type Clock, withDeadline } from '@holdfast/foundation';

/** The starts of a server that nobody asked for one by one: it is restarted when it ends by itself. */
export interface Restarts {
  /** Notes one that has begun. */
  record(restart: Promise<void>): void;
  /** Settles as the oldest one does that was not waited for yet, be it still to come. */
  next(limitMs: number, late: () => Error, signal: AbortSignal): Promise<void>;
}

/** How many that nobody has waited for yet are remembered. */
const REMEMBERED = 100;

export function createRestarts(clock: Clock): Restarts {
  const past: Promise<void>[] = [];
  const waiting: ((restart: Promise<void>) => void)[] = [];
  return {
    record(restart) {
      // Whoever waits is told; if nobody does, the server stays stopped and says so in its state.
      restart.catch(() => undefined);
      const first = waiting.shift();
      if (first !== undefined) first(restart);
      else if (past.length < REMEMBERED) past.push(restart);
    },
    next: (limitMs, late, signal) =>
      withDeadline(clock, limitMs, signal, late, (limit) => {
        const known = past.shift();
        if (known !== undefined) return known;
        return new Promise<void>((resolve, reject) => {
          waiting.push(resolve);
          limit.addEventListener(
            'abort',
            () => {
              const place = waiting.indexOf(resolve);
              if (place !== -1) waiting.splice(place, 1);
              reject(limit.reason);
            },
            { once: true },
          );
        });
      }),
  };
}
