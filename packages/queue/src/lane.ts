import type { PendingJob } from './pending-job.ts';
import type { Retention } from './retention.ts';

/** Most jobs, and most characters of payload, that travel to Redis or the journal in one step. */
export const MAX_BATCH_JOBS = 500;
export const MAX_BATCH_CHARACTERS = 262_144;

/** One topic's jobs on their way, in order: at most one batch is in flight to Redis at a time. */
export class Lane {
  readonly topic: string;
  /** A batch is in flight; everything else of the topic waits behind it. */
  isSending = false;
  /** A batch is on its way to the fallback; what follows waits, so that it keeps its place. */
  isSpilling = false;
  /** The highest sequence Redis has confirmed in this process's life. */
  confirmed = 0;
  readonly retention: Retention;
  #lastSequence = 0;
  #waiting: PendingJob[] = [];

  constructor(topic: string, retention: Retention) {
    this.topic = topic;
    this.retention = retention;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  nextSequence(): number {
    this.#lastSequence += 1;
    return this.#lastSequence;
  }

  add(job: PendingJob): void {
    this.#waiting.push(job);
  }

  /** Puts a batch that did not get through back in front. */
  putBack(batch: readonly PendingJob[]): void {
    this.#waiting = [...batch, ...this.#waiting];
  }

  /** Takes the next batch, in order, without the jobs nobody waits for any more. */
  take(): PendingJob[] {
    const batch: PendingJob[] = [];
    let characters = 0;
    let taken = 0;
    for (const pending of this.#waiting) {
      const { length } = pending.job.payload;
      const isFull =
        batch.length === MAX_BATCH_JOBS ||
        (batch.length > 0 && characters + length > MAX_BATCH_CHARACTERS);
      if (isFull) break;
      taken += 1;
      if (pending.isSettled) continue;
      characters += length;
      batch.push(pending);
    }
    this.#waiting.splice(0, taken);
    return batch;
  }

  takeAll(): PendingJob[] {
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }
}

/** The jobs in the same order, in as many steps as they need. */
export function inBatches<J>(jobs: readonly J[]): J[][] {
  const batches: J[][] = [];
  for (let from = 0; from < jobs.length; from += MAX_BATCH_JOBS) {
    batches.push(jobs.slice(from, from + MAX_BATCH_JOBS));
  }
  return batches;
}
