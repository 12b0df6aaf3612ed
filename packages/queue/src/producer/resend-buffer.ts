import type { PublishedJob } from '../backend.ts';

interface Batch {
  readonly jobs: readonly PublishedJob[];
  readonly characters: number;
  confirmedAtMs: number;
}

/** What all topics together may keep, in characters of payload. */
export interface ResendBudget {
  leftCharacters: number;
}

/**
 * One topic's jobs that Redis has confirmed lately, kept so that a Redis that comes back without them can be
 * given them again. The oldest go first, when their time is over or the budget is used up.
 */
export class ResendBuffer {
  readonly #retainMs: number;
  readonly #budget: ResendBudget;
  #batches: Batch[] = [];

  constructor(retainMs: number, budget: ResendBudget) {
    this.#retainMs = retainMs;
    this.#budget = budget;
  }

  /** Keeps jobs that were confirmed now, and lets go of what is too old by now. */
  keep(jobs: readonly PublishedJob[], nowMs: number): void {
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

  /** The lowest sequence that could be given again, without a look at all that is kept. */
  oldest(untilMs: number): number | undefined {
    return this.#batches.find((batch) => this.#isInTime(batch, untilMs))?.jobs[0]?.sequence;
  }

  /** Those above `sequence` that were confirmed in the time before `untilMs`, when Redis was last there. */
  confirmedAfter(sequence: number, untilMs: number): PublishedJob[] {
    return this.#batches
      .filter((batch) => this.#isInTime(batch, untilMs))
      .flatMap(({ jobs }) => jobs.filter((job) => job.sequence > sequence));
  }

  /** What was given again counts as confirmed now. */
  renew(nowMs: number): void {
    for (const batch of this.#batches) batch.confirmedAtMs = nowMs;
  }

  #isInTime({ confirmedAtMs }: Batch, untilMs: number): boolean {
    return confirmedAtMs + this.#retainMs >= untilMs;
  }
}
