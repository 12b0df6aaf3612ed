import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from '../producer/topic-buffer.ts';
import type { StoredJob } from './record.ts';

/** How much is kept: as many windows as may come in while one is on its way to Redis. */
const MAX_JOBS = 4 * MAX_BATCH_JOBS;
const MAX_CHARACTERS = 4 * MAX_BATCH_CHARACTERS;

interface Run {
  /** The place of the first one in the journal; the others follow it there. */
  readonly first: number;
  readonly jobs: readonly StoredJob[];
  readonly characters: number;
}

/**
 * The newest jobs of the journal, as they were before they were written: whoever follows closely need not
 * read them back. Bounded; what is older is in the journal only. While nobody follows closely, as through an
 * outage, nothing is kept: it would live just long enough to be garbage of the costly kind.
 */
export class TailCache {
  #runs: Run[] = [];
  #jobs = 0;
  #characters = 0;

  /**
   * @param first the place of the first of these jobs, the newest there are.
   * @param cursor the place of the oldest job that somebody will ask for.
   */
  add(first: number, jobs: readonly StoredJob[], cursor: number): void {
    const isFar = first + jobs.length - cursor > MAX_JOBS;
    // Where something else came between, what stands before it does not lead up to here.
    if (isFar || first !== this.#end) this.dropBefore(Infinity);
    if (isFar) return;
    const characters = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
    this.#runs.push({ first, jobs, characters });
    this.#jobs += jobs.length;
    this.#characters += characters;
    while (this.#jobs > MAX_JOBS || this.#characters > MAX_CHARACTERS) this.#dropOldest();
  }

  /** The jobs from this place on, as many as travel in one step; `undefined` where it is not kept. */
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

  /** Those before this place are not needed any more. */
  dropBefore(place: number): void {
    while (this.#runs.length > 0 && this.#firstEnd <= place) this.#dropOldest();
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
