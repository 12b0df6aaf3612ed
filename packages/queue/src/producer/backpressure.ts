import { type Clock, isHoldfastError } from '@holdfast/foundation';
import type { Producer } from './producer.ts';
import type { Submission } from './pending-job.ts';
import type { Accepted } from '../queue.ts';

export interface BackpressureOptions {
  readonly clock: Clock;
  readonly backpressure: 'reject' | 'wait' | 'shed-oldest';
  readonly backpressureTimeoutMs: number;
}

/** Lets jobs in, or has them wait for room, one after the other in the order they came. */
export class Backpressure {
  readonly #producer: Producer;
  readonly #tuning: BackpressureOptions;
  /** Settles when the last of those that wait has gone in or given up. */
  #line: Promise<unknown> | undefined;

  constructor(producer: Producer, tuning: BackpressureOptions) {
    this.#producer = producer;
    this.#tuning = tuning;
  }

  /**
   * Settles as `Dispatcher.submit`; rejects with a QueueFullError only after having waited, where that was
   * asked for.
   */
  submit(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    if (this.#tuning.backpressure === 'wait') return this.#submitOrWait(submission, signal);
    try {
      return this.#producer.submit(submission, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #submitOrWait(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    if (this.#line === undefined) {
      try {
        return await this.#producer.submit(submission, signal);
      } catch (error) {
        if (!isRoomMissing(error)) throw error;
      }
    }
    return this.#standInLine(submission, signal);
  }

  #standInLine(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    const { clock, backpressureTimeoutMs } = this.#tuning;
    const late = new AbortController();
    const deadline = clock.schedule(backpressureTimeoutMs, () => late.abort(), {
      holdsProcess: false,
    });
    const before = this.#line;
    const entering = this.#enter(submission, before, late.signal, signal).finally(() => {
      deadline.cancel();
      if (this.#line === mine) this.#line = undefined;
    });
    const mine = entering.catch(() => undefined);
    this.#line = mine;
    return entering;
  }

  async #enter(
    submission: Submission,
    before: Promise<unknown> | undefined,
    late: AbortSignal,
    signal: AbortSignal | undefined,
  ): Promise<Accepted> {
    const stop = signal === undefined ? late : AbortSignal.any([late, signal]);
    await Promise.race([before, whenAborted(stop)]);
    while (true) {
      try {
        return await this.#producer.submit(submission, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (!isRoomMissing(error) || late.aborted) throw error;
        await this.#producer.progress(stop).catch(() => undefined);
      }
    }
  }
}

function isRoomMissing(error: unknown): boolean {
  return isHoldfastError(error) && error.code === 'QUEUE_FULL' && error.outcome === 'not-applied';
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
