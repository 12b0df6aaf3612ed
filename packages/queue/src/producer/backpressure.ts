import type { Clock, Random } from '@holdfast/foundation';
import { QueueFullError, isQueueFull } from '../errors.ts';
import type { ResolvedEnqueueManyOptions, TopicOptions } from '../options.ts';
import type { Accepted } from '../queue.ts';
import type { OnLate, Submission } from '../state/pending-job.ts';
import { type EnqueueCall, ListCall, SingleCall } from './enqueue-call.ts';
import type { Producer } from './producer.ts';
import { TopicLine } from './topic-line.ts';

interface BackpressureOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly backpressure: 'reject' | 'wait' | 'shed-oldest';
  readonly backpressureTimeoutMs: number;
  readonly maxPendingJobs: number;
  readonly topics: ReadonlyMap<string, TopicOptions>;
}

/**
 * Submits jobs, or makes them wait in the line of their topic, in the order of their calls: for room, with
 * `backpressure: 'wait'`, and behind a list that is longer than the memory has room for.
 */
export class Backpressure {
  #producer: Producer;
  readonly #options: BackpressureOptions;
  readonly #waits: boolean;
  readonly #lines = new Map<string, TopicLine>();

  constructor(producer: Producer, options: BackpressureOptions) {
    this.#producer = producer;
    this.#options = options;
    this.#waits = options.backpressure === 'wait';
  }

  /** From now on jobs go to this producer; those that wait for room do, too. */
  continueWith(producer: Producer): void {
    this.#producer = producer;
    for (const line of this.#lines.values()) line.wake();
  }

  /** Settles as `Producer.submit`. With `wait`, rejects with QueueFullError only after the timeout. */
  submit(
    submission: Submission,
    signal: AbortSignal | undefined,
    onLate?: OnLate,
  ): Promise<Accepted> {
    const { topic } = submission;
    const line = this.#lines.get(topic);
    if (line !== undefined) return this.#submitBehind(line, submission, signal, onLate);
    if (this.#waits) return this.#submitOrWait(submission, signal, onLate);
    try {
      return this.#producer.submit(submission, signal, onLate);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Submits the jobs of one topic, and settles as `enqueueMany`. A list that is longer than there is room for is
   * submitted in parts.
   */
  submitAll(jobs: readonly Submission[], options: ResolvedEnqueueManyOptions): Promise<Accepted[]> {
    const [first] = jobs;
    const { limits } = this.#producer.state;
    const { topic = '', payload = '' } = first ?? {};
    const isLined = this.#lines.has(topic);
    const refusal = this.#waits || isLined ? undefined : limits.refusalOf(payload.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    const call = new ListCall(jobs, options);
    if (isLined || this.#isBounded(topic) || !limits.hasRoomFor(jobs))
      this.#lineOf(topic).add(call);
    else for (const [index, job] of jobs.entries()) this.#submitOne(call, index, job);
    return call.outcome;
  }

  /** Jobs of this topic have been handled, so that there is room for others. */
  freed(topic: string): void {
    this.#lines.get(topic)?.wake();
  }

  #submitOne(call: EnqueueCall, index: number, job: Submission): void {
    this.submit(job, call.signal, call.onLateOf(index)).then(
      (answer) => call.accepted(index, answer),
      (error: unknown) => call.rejected(index, error),
    );
  }

  #submitBehind(
    line: TopicLine,
    submission: Submission,
    signal: AbortSignal | undefined,
    onLate: OnLate | undefined,
  ): Promise<Accepted> {
    const { maxPendingJobs } = this.#options;
    if (this.#waits || line.size < maxPendingJobs)
      return this.#submitInLine(submission, signal, onLate);
    const seen = `${maxPendingJobs} calls (maxPendingJobs) wait behind a list of jobs already`;
    return Promise.reject(new QueueFullError('maxPendingJobs', seen));
  }

  async #submitOrWait(
    submission: Submission,
    signal: AbortSignal | undefined,
    onLate: OnLate | undefined,
  ): Promise<Accepted> {
    if (this.#isBounded(submission.topic)) return this.#submitInLine(submission, signal, onLate);
    try {
      return await this.#producer.submit(submission, signal, onLate);
    } catch (error) {
      if (!isQueueFull(error)) throw error;
      return this.#submitInLine(submission, signal, onLate);
    }
  }

  #submitInLine(
    submission: Submission,
    signal: AbortSignal | undefined,
    onLate: OnLate | undefined,
  ): Promise<Accepted> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const call = new SingleCall(submission, signal, onLate);
    this.#lineOf(submission.topic).add(call);
    return call.outcome;
  }

  #isBounded(topic: string): boolean {
    return this.#options.topics.get(topic)?.maxJobs !== undefined;
  }

  #lineOf(topic: string): TopicLine {
    const known = this.#lines.get(topic);
    if (known !== undefined) return known;
    const { clock, random, backpressureTimeoutMs: timeoutMs } = this.#options;
    const line = new TopicLine({
      producer: () => this.#producer,
      clock,
      random,
      timeoutMs,
      waitsForRoom: this.#waits,
      isBounded: this.#isBounded(topic),
      onEmpty: () => this.#lines.delete(topic),
    });
    this.#lines.set(topic, line);
    return line;
  }
}
