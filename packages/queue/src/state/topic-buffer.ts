import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from '../batch-limits.ts';
import type { PendingJob } from './pending-job.ts';
import type { ResendBuffer } from './resend-buffer.ts';

/**
 * The jobs of one topic that are waiting or in flight, in order. Several batches may be in flight to Redis. Each
 * names the job that must precede it, so when one batch fails, Redis rejects those behind it.
 */
export class TopicBuffer {
  readonly topic: string;
  /** A batch in flight failed: nothing is sent until all batches in flight are back in the buffer. */
  isRewinding = false;
  /** A batch is being collected from the jobs enqueued in this turn. */
  isBatching = false;
  /** A batch is being written to the fallback. Later jobs wait, which keeps the order. */
  isSpilling = false;
  /** The highest sequence Redis has confirmed since this process started. */
  confirmedSequence = 0;
  readonly resendBuffer: ResendBuffer;
  #lastSequence = 0;
  #lastSent = 0;
  /** The oldest first. */
  #inFlight: (readonly PendingJob[])[] = [];
  #waiting: PendingJob[] = [];
  /** Jobs whose write to the journal hangs, in order; they precede all that wait. */
  #inDoubt: PendingJob[] = [];

  /** Jobs were enqueued since this was set to false. */
  wasUsed = true;

  /** @param after the numbers of jobs begin behind it. */
  constructor(topic: string, resendBuffer: ResendBuffer, after = 0) {
    this.topic = topic;
    this.resendBuffer = resendBuffer;
    this.#lastSequence = after;
  }

  /** Redis has every job that has a number, and none has to be sent again. */
  get isIdle(): boolean {
    return this.isSettled && this.confirmedSequence >= this.#lastSequence;
  }

  /** No job waits, is in flight, or may have to be sent again; the fallback may have some. */
  get isSettled(): boolean {
    const isBusy = this.isSending || this.isBatching || this.isSpilling;
    return (
      !isBusy &&
      this.isEmpty &&
      this.#inDoubt.length === 0 &&
      this.resendBuffer.batches.length === 0
    );
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** The number of waiting jobs. */
  get size(): number {
    return this.#waiting.length;
  }

  /** The number of batches in flight. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  get isSending(): boolean {
    return this.#inFlight.length > 0;
  }

  /** The highest sequence Redis knows once it has accepted all batches in flight. */
  get lastSentSequence(): number {
    return Math.max(this.confirmedSequence, this.#lastSent);
  }

  nextSequence(): number {
    this.#lastSequence += 1;
    return this.#lastSequence;
  }

  add(job: PendingJob): void {
    this.#waiting.push(job);
  }

  /** Marks the batch as in flight. */
  send(batch: readonly PendingJob[]): void {
    this.#inFlight.push(batch);
    for (const pending of batch) pending.wasSent = true;
    this.#lastSent = batch.at(-1)?.job.sequence ?? this.#lastSent;
  }

  /** Ends the flight of a batch that was accepted or requeued. */
  settle(batch: readonly PendingJob[]): void {
    this.#inFlight = this.#inFlight.filter((other) => other !== batch);
    if (this.isSending) return;
    this.isRewinding = false;
    this.#lastSent = this.confirmedSequence;
  }

  /** Whether this batch failed on its own: batches behind a failed or unsettled one may fail because of it. */
  isFirstToFail(batch: readonly PendingJob[]): boolean {
    return this.#inFlight[0] === batch && !this.isRewinding;
  }

  /** Puts a failed batch back in front of the jobs that were enqueued after it. */
  requeue(batch: readonly PendingJob[]): void {
    this.isRewinding = true;
    this.#inDoubt = [...batch.filter(({ isInDoubt }) => isInDoubt), ...this.#inDoubt];
    const others = batch.filter(({ isInDoubt }) => !isInDoubt);
    this.#waiting = [...this.#waiting, ...others].toSorted(bySequence);
  }

  /** Keeps jobs whose write to the journal hangs, to be sent before the next ones. */
  keepInDoubt(batch: readonly PendingJob[]): void {
    for (const pending of batch) pending.isInDoubt = true;
    this.#inDoubt.push(...batch);
  }

  /** The writes have ended: the jobs are in the journal, or nowhere. */
  dropInDoubt(): void {
    for (const pending of this.#inDoubt.splice(0)) pending.isInDoubt = false;
  }

  /** Removes the next batch for Redis. */
  takeForRedis(): PendingJob[] {
    return this.#inDoubt.length > 0 ? this.#inDoubt.splice(0, MAX_BATCH_JOBS) : this.take();
  }

  /** Removes the next batch, in order, and skips jobs whose callers have given up. */
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
    return this.#waiting.splice(0);
  }
}

function bySequence({ job: one }: PendingJob, { job: other }: PendingJob): number {
  return one.sequence - other.sequence;
}
