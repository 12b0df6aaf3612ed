import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from '../batch-limits.ts';
import type { StoredJob } from './record.ts';

/** The size of the cache: the windows that may be appended while one is in flight to Redis. */
const MAX_JOBS = 4 * MAX_BATCH_JOBS;
const MAX_CHARACTERS = 4 * MAX_BATCH_CHARACTERS;

interface Run {
  /** The journal sequence of the first job; the others follow it directly. */
  readonly first: number;
  readonly jobs: readonly StoredJob[];
  readonly characters: number;
}

/**
 * Caches the newest jobs of the journal, so that a drain that keeps up does not read them back. Bounded. While the
 * drain is far behind, as during an outage, nothing is cached: the jobs would survive just long enough to make
 * garbage collection expensive.
 */
export class TailCache {
  #runs: Run[] = [];
  #jobs = 0;
  #characters = 0;

  /**
   * @param first the journal sequence of the first of these jobs, which are the newest of the journal.
   * @param cursor the journal sequence of the oldest job that may be requested.
   */
  add(first: number, jobs: readonly StoredJob[], cursor: number): void {
    const isFar = first + jobs.length - cursor > MAX_JOBS;
    // A gap before these jobs makes the cached ones unusable.
    if (isFar || first !== this.#end) this.dropBefore(Infinity);
    if (isFar) return;
    const characters = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
    this.#runs.push({ first, jobs, characters });
    this.#jobs += jobs.length;
    this.#characters += characters;
    while (this.#jobs > MAX_JOBS || this.#characters > MAX_CHARACTERS) this.#dropOldest();
  }

  /** The jobs from this journal sequence on, at most one batch; `undefined` when they are not cached. */
  window(from: number): StoredJob[] | undefined {
    const start = this.#runs.findIndex(({ first, jobs }) => from < first + jobs.length);
    if (start === -1 || from < (this.#runs[start]?.first ?? Infinity)) return undefined;
    const window: StoredJob[] = [];
    let characters = 0;
    for (const { first, jobs } of this.#runs.slice(start)) {
      for (let index = Math.max(0, from - first); index < jobs.length; index += 1) {
        const job = jobs[index];
        if (job === undefined || window.length === MAX_BATCH_JOBS) return window;
        characters += job.payload.length;
        if (window.length > 0 && characters > MAX_BATCH_CHARACTERS) return window;
        window.push(job);
      }
    }
    return window;
  }

  /** The journal sequence of the oldest cached job. */
  get first(): number | undefined {
    return this.#runs[0]?.first;
  }

  /** Drops jobs before this journal sequence. */
  dropBefore(sequence: number): void {
    while (this.#runs.length > 0 && this.#firstEnd <= sequence) this.#dropOldest();
  }

  get #end(): number | undefined {
    const last = this.#runs.at(-1);
    return last === undefined ? undefined : last.first + last.jobs.length;
  }

  get #firstEnd(): number {
    const [oldest] = this.#runs;
    return oldest === undefined ? Infinity : oldest.first + oldest.jobs.length;
  }

  #dropOldest(): void {
    const oldest = this.#runs.shift();
    this.#jobs -= oldest?.jobs.length ?? 0;
    this.#characters -= oldest?.characters ?? 0;
  }
}
