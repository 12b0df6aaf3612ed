import { type Clock, abortable } from '@holdfast/foundation';
import { isQueueFull } from '../errors.ts';
import type { Accepted } from '../queue.ts';
import type { Submission } from '../state/pending-job.ts';
import type { Producer } from './producer.ts';

interface BackpressureOptions {
  readonly clock: Clock;
  readonly backpressure: 'reject' | 'wait' | 'shed-oldest';
  readonly backpressureTimeoutMs: number;
}

/** Submits jobs, or makes them wait for room one after the other, in the order of their calls. */
export class Backpressure {
  readonly #producer: Producer;
  readonly #options: BackpressureOptions;
  /** Settles when the last waiter has submitted its job or given up. */
  #waiters: Promise<unknown> | undefined;

  constructor(producer: Producer, options: BackpressureOptions) {
    this.#producer = producer;
    this.#options = options;
  }

  /** Settles as `Producer.submit`. With `wait`, rejects with QueueFullError only after the timeout. */
  submit(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    if (this.#options.backpressure === 'wait') return this.#submitOrWait(submission, signal);
    try {
      return this.#producer.submit(submission, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #submitOrWait(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    if (this.#waiters === undefined) {
      try {
        return await this.#producer.submit(submission, signal);
      } catch (error) {
        if (!isQueueFull(error)) throw error;
      }
    }
    return this.#waitForRoom(submission, signal);
  }

  #waitForRoom(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    const { clock, backpressureTimeoutMs } = this.#options;
    const late = new AbortController();
    const deadline = clock.schedule(backpressureTimeoutMs, () => late.abort(), {
      holdsProcess: false,
    });
    const before = this.#waiters;
    const submitting = this.#submitAfter(before, submission, late.signal, signal).finally(() => {
      deadline.cancel();
      if (this.#waiters === mine) this.#waiters = undefined;
    });
    const mine = submitting.catch(() => undefined);
    this.#waiters = mine;
    return submitting;
  }

  async #submitAfter(
    before: Promise<unknown> | undefined,
    submission: Submission,
    late: AbortSignal,
    signal: AbortSignal | undefined,
  ): Promise<Accepted> {
    const stop = signal === undefined ? late : AbortSignal.any([late, signal]);
    if (before !== undefined) await abortable(before, stop).catch(() => undefined);
    while (true) {
      try {
        return await this.#producer.submit(submission, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (!isQueueFull(error) || late.aborted) throw error;
        await this.#producer.state.progress.wait(stop).catch(() => undefined);
      }
    }
  }
}
