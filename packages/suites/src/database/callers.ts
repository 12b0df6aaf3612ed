import { systemClock } from '@holdfast/foundation';

export interface CallersResult {
  readonly calls: number;
  readonly failures: readonly unknown[];
  /** The longest duration of a call, in milliseconds. */
  readonly slowestMs: number;
}

/** Callers that call again as soon as their call has settled. */
interface Callers {
  /** Calls made so far. */
  readonly calls: number;
  /** Resolves with the clock's `now()` for each caller's first success of a call that ends after that. */
  servedSince(atMs: number): Promise<number[]>;
  stop(): Promise<CallersResult>;
}

/** Runs that many callers; after a failed call a caller pauses for one turn of the event loop. */
export function keepCalling(callers: number, call: () => Promise<unknown>): Callers {
  const failures: unknown[] = [];
  const served = Array.from({ length: callers }, (): ((atMs: number) => void)[] => []);
  let calls = 0;
  let slowestMs = 0;
  const stopping = new AbortController();

  const keep = async (caller: number): Promise<void> => {
    while (!stopping.signal.aborted) {
      calls += 1;
      const beganMs = systemClock.now();
      try {
        await call();
        for (const listener of served[caller]?.slice() ?? []) listener(systemClock.now());
      } catch (error) {
        failures.push(error);
        await new Promise((resolve) => setImmediate(resolve));
      }
      slowestMs = Math.max(slowestMs, systemClock.now() - beganMs);
    }
  };
  const running = Array.from({ length: callers }, (_, caller) => keep(caller));

  return {
    get calls() {
      return calls;
    },
    servedSince: (sinceMs) =>
      Promise.all(
        served.map(
          (listeners) =>
            new Promise<number>((resolve) => {
              const listener = (atMs: number): void => {
                if (atMs < sinceMs) return;
                listeners.splice(listeners.indexOf(listener), 1);
                resolve(atMs);
              };
              listeners.push(listener);
            }),
        ),
      ),
    async stop() {
      stopping.abort();
      await Promise.all(running);
      return { calls, failures, slowestMs };
    },
  };
}

/** The quantile of the values for a share of 0 to 1. */
export function percentile(values: readonly number[], share: number): number {
  const inOrder = values.toSorted((left, right) => left - right);
  return inOrder[Math.min(inOrder.length - 1, Math.floor(inOrder.length * share))] ?? 0;
}
