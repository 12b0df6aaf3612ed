import type { PendingJob } from './pending-job.ts';
import type { ResendBuffer } from './resend-buffer.ts';

/** Most jobs, and most characters of payload, that travel to Redis or the journal in one step. */
export const MAX_BATCH_JOBS = 500;
export const MAX_BATCH_CHARACTERS = 262_144;

/**
 * One topic's jobs on their way, in order. Several batches may be in flight to Redis, each of which says what
 * has to be there before it: where one fails, those behind it are refused.
 */
export class TopicBuffer {
  readonly topic: string;
  /** One of those in flight failed: nothing follows until all of them are back in their places. */
  isBroken = false;
  /** A batch is being put together of what is enqueued in this turn. */
  isGathering = false;
  /** A batch is on its way to the fallback; what follows waits, so that it keeps its place. */
  isSpilling = false;
  /** The highest sequence Redis has confirmed in this process's life. */
  confirmed = 0;
  readonly retention: ResendBuffer;
  #lastSequence = 0;
  #lastSent = 0;
  /** The oldest first. */
  #inFlight: (readonly PendingJob[])[] = [];
  #waiting: PendingJob[] = [];

  constructor(topic: string, retention: ResendBuffer) {
    this.topic = topic;
    this.retention = retention;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** How many jobs wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** How many batches are in flight. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  get isSending(): boolean {
    return this.#inFlight.length > 0;
  }

  /** What Redis knows once it has taken what is in flight. */
  get sentThrough(): number {
    return Math.max(this.confirmed, this.#lastSent);
  }

  nextSequence(): number {
    this.#lastSequence += 1;
    return this.#lastSequence;
  }

  add(job: PendingJob): void {
    this.#waiting.push(job);
  }

  /** The batch is in flight from now on. */
  send(batch: readonly PendingJob[]): void {
    this.#inFlight.push(batch);
    for (const pending of batch) pending.wasSent = true;
    this.#lastSent = batch.at(-1)?.job.sequence ?? this.#lastSent;
  }

  /** The batch got through, or is back. */
  arrived(batch: readonly PendingJob[]): void {
    this.#inFlight = this.#inFlight.filter((other) => other !== batch);
    if (this.isSending) return;
    this.isBroken = false;
    this.#lastSent = this.confirmed;
  }

  /** Those behind a batch that failed, or is not through yet, may be refused for what is missing before them. */
  isFirstToFail(batch: readonly PendingJob[]): boolean {
    return this.#inFlight[0] === batch && !this.isBroken;
  }

  /** Puts a batch that did not get through back in its place. */
  putBack(batch: readonly PendingJob[]): void {
    this.isBroken = true;
    this.#waiting = [...this.#waiting, ...batch].toSorted(bySequence);
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

function bySequence({ job: one }: PendingJob, { job: other }: PendingJob): number {
  return one.sequence - other.sequence;
}

/** The jobs in the same order, in as many steps as they need. */
export function inBatches<J>(jobs: readonly J[]): J[][] {
  const batches: J[][] = [];
  for (let from = 0; from < jobs.length; from += MAX_BATCH_JOBS) {
    batches.push(jobs.slice(from, from + MAX_BATCH_JOBS));
  }
  return batches;
}
