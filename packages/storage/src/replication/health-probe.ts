import type { Clock } from '@holdfast/foundation';
import { type StorageBackend, type StorageFailure, toResult } from '../backend.ts';

/** After so long a silence a backend is asked whether it is there, and so long at most after that it is known. */
const SILENT_AFTER_MS = 10_000;
const ANSWERS_WITHIN_MS = 5_000;
/** The key that is looked for before any is known; whatever a backend answers, it is there. */
const ANY_KEY = 'holdfast-health';

/**
 * Knows when a backend answered last. An idle one is asked, for the size of one object, only when somebody wants to
 * know: `health()` tells what is known, and lets it ask for the next time.
 */
export class HealthProbe {
  /** The key that is looked for: one that this process may have rights for. */
  key: string = ANY_KEY;
  readonly #backend: StorageBackend;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #answeredMs: number | undefined;
  #askedMs = -Infinity;
  #failure: StorageFailure | undefined;

  constructor(backend: StorageBackend, clock: Clock) {
    this.#backend = backend;
    this.#clock = clock;
  }

  /** Why the backend did not answer, if that is the last that is known. */
  get failure(): StorageFailure | undefined {
    return this.#failure;
  }

  /** Milliseconds since the last answer; `undefined` without one. */
  get answeredMsAgo(): number | undefined {
    return this.#answeredMs === undefined ? undefined : this.#clock.now() - this.#answeredMs;
  }

  answered(): void {
    this.#answeredMs = this.#clock.now();
    this.#failure = undefined;
  }

  /** Asks the backend in the background, unless it has answered lately or is being asked. */
  ask(): void {
    const nowMs = this.#clock.now();
    const knownMs = Math.max(this.#answeredMs ?? -Infinity, this.#askedMs);
    if (nowMs - knownMs < SILENT_AFTER_MS || this.#closing.signal.aborted) return;
    this.#askedMs = nowMs;
    void this.#ask();
  }

  async #ask(): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#closing.signal]);
    const late = new Error(`no answer within ${ANSWERS_WITHIN_MS} ms`);
    const timer = this.#clock.schedule(ANSWERS_WITHIN_MS, () => over.abort(late), {
      holdsProcess: false,
    });
    const result = await toResult('read', () => this.#backend.head(this.key, { signal }));
    timer.cancel();
    if (this.#closing.signal.aborted) return;
    if (result.kind === 'transient' || result.kind === 'unknown') this.#failure = result;
    else this.answered();
  }

  close(): void {
    this.#closing.abort();
  }
}
