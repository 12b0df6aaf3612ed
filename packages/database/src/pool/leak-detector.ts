import type { Clock, Emitter } from '@holdfast/foundation';
import type { DatabaseEvents } from '../events.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** Reports connections that are leased for too long: who acquired them, the last SQL, and a late release. */
export class LeakDetector {
  readonly #clock: Clock;
  readonly #events: Emitter<DatabaseEvents>;
  readonly #reportMs: number;

  constructor(clock: Clock, events: Emitter<DatabaseEvents>, reportMs: number) {
    this.#clock = clock;
    this.#events = events;
    this.#reportMs = reportMs;
  }

  /** Watches a connection that the caller on the present stack has acquired, until the result is called. */
  watch(pooled: PooledConnection): () => void {
    // The stack is formatted only if a report needs it.
    const acquired = new Error('acquired here');
    const sinceMs = this.#clock.now();
    let reported = false;
    const timer = this.#clock.schedule(
      this.#reportMs,
      () => {
        reported = true;
        pooled.counts.leaks += 1;
        this.#events.emit('leak', {
          ...this.#report(pooled, acquired, sinceMs),
          ...(pooled.lastSql === undefined ? {} : { lastSql: pooled.lastSql }),
        });
      },
      { holdsProcess: false },
    );
    return () => {
      timer.cancel();
      if (!reported) return;
      reported = false;
      this.#events.emit('leak-returned', this.#report(pooled, acquired, sinceMs));
    };
  }

  #report(
    pooled: PooledConnection,
    acquired: Error,
    sinceMs: number,
  ): DatabaseEvents['leak-returned'] {
    const atMs = this.#clock.now();
    return { host: pooled.host, ageMs: atMs - sinceMs, acquiredAt: acquired.stack ?? '', atMs };
  }
}
