import type { PublishedJob } from '../backend.ts';

/** So many windows are kept before those that have passed are looked for. */
const SWEEP_OVER = 10_000;

/** The windows of the debounced keys of one topic, by the same rules as the publish script. */
export class DebounceWindows {
  /** The last job of each key. */
  readonly #last = new Map<string, PublishedJob>();

  /** @returns the job that this one replaces, `undefined` for none, or `'dropped'` when this one is not added. */
  enter(job: PublishedJob): PublishedJob | 'dropped' | undefined {
    const { debounce, enqueuedAtMs } = job;
    if (debounce === undefined) return undefined;
    const last = this.#last.get(debounce.key);
    const sinceMs = last === undefined ? Infinity : enqueuedAtMs - last.enqueuedAtMs;
    const isWithin = Math.abs(sinceMs) < debounce.windowMs;
    if (isWithin && (debounce.mode === 'first' || sinceMs < 0)) return 'dropped';
    this.#last.set(debounce.key, job);
    if (this.#last.size > SWEEP_OVER) this.#sweep(enqueuedAtMs);
    return isWithin ? last : undefined;
  }

  #sweep(nowMs: number): void {
    for (const [key, { enqueuedAtMs, debounce }] of this.#last) {
      if (nowMs - enqueuedAtMs >= (debounce?.windowMs ?? 0)) this.#last.delete(key);
    }
  }
}
