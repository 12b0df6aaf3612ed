import type { PublishedJob } from '../backend.ts';

interface Batch {
  readonly jobs: readonly PublishedJob[];
  readonly characters: number;
  confirmedAtMs: number;
}

/** The characters of payload that the resend buffers of all topics may hold together. */
export interface ResendBudget {
  leftCharacters: number;
}

/**
 * Keeps one topic's recently confirmed jobs, so that they can be sent again when Redis comes back without them.
 * Drops the oldest when their time is over or the budget is exceeded.
 */
export class ResendBuffer {
  readonly #retainMs: number;
  readonly #budget: ResendBudget;
  #batches: Batch[] = [];

  constructor(retainMs: number, budget: ResendBudget) {
    this.#retainMs = retainMs;
    this.#budget = budget;
  }

  /** Adds jobs that were confirmed now, and drops expired ones. */
  add(jobs: readonly PublishedJob[], nowMs: number): void {
    if (this.#retainMs === 0 || jobs.length === 0) return;
    const characters = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
    this.#batches.push({ jobs, characters, confirmedAtMs: nowMs });
    this.#budget.leftCharacters -= characters;
    let expired = 0;
    for (const batch of this.#batches) {
      if (this.#budget.leftCharacters >= 0 && this.#isInTime(batch, nowMs)) break;
      this.#budget.leftCharacters += batch.characters;
      expired += 1;
    }
    this.#batches.splice(0, expired);
  }

  /** The lowest sequence that may be sent again; reads one entry of each batch only. */
  oldestSequence(untilMs: number): number | undefined {
    return this.#batches.find((batch) => this.#isInTime(batch, untilMs))?.jobs[0]?.sequence;
  }

  /** The jobs above `sequence` that were confirmed within the retention time before `untilMs`. */
  confirmedAfter(sequence: number, untilMs: number): PublishedJob[] {
    return this.#batches
      .filter((batch) => this.#isInTime(batch, untilMs))
      .flatMap(({ jobs }) => jobs.filter((job) => job.sequence > sequence));
  }

  /** Marks all jobs as confirmed now, because they are sent again. */
  touch(nowMs: number): void {
    for (const batch of this.#batches) batch.confirmedAtMs = nowMs;
  }

  #isInTime({ confirmedAtMs }: Batch, untilMs: number): boolean {
    return confirmedAtMs + this.#retainMs >= untilMs;
  }
}
