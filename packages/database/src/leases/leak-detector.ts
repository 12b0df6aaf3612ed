import type { Emitter, Clock } from '@holdfast/foundation';
import type { DatabaseEvents } from '../events.ts';
import type { Slot } from '../pool/pooled-connection.ts';

/** Reports links that are not given back: who took them, what was run last, and if they come back after all. */
export class LeakWatch {
  readonly #clock: Clock;
  readonly #events: Emitter<DatabaseEvents>;
  readonly #reportMs: number;

  constructor(clock: Clock, events: Emitter<DatabaseEvents>, reportMs: number) {
    this.#clock = clock;
    this.#events = events;
    this.#reportMs = reportMs;
  }

  /** Watches a link from the call on whose stack this runs; the returned function says that it is back. */
  lent(slot: Slot): () => void {
    // Its stack is put into words only when somebody has to read it.
    const taken = new Error('taken here');
    const sinceMs = this.#clock.now();
    let reported = false;
    const timer = this.#clock.schedule(
      this.#reportMs,
      () => {
        reported = true;
        slot.counts.leaks += 1;
        this.#events.emit('leak', {
          ...this.#story(slot, taken, sinceMs),
          ...(slot.lastSql === undefined ? {} : { lastSql: slot.lastSql }),
        });
      },
      { holdsProcess: false },
    );
    return () => {
      timer.cancel();
      if (!reported) return;
      reported = false;
      this.#events.emit('leak-returned', this.#story(slot, taken, sinceMs));
    };
  }

  #story(slot: Slot, taken: Error, sinceMs: number): DatabaseEvents['leak-returned'] {
    const atMs = this.#clock.now();
    return { host: slot.host, ageMs: atMs - sinceMs, acquiredAt: taken.stack ?? '', atMs };
  }
}
