import { type Clock, type Random, type Timer, sleep } from '@holdfast/foundation';
import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from '../batch-limits.ts';
import { QueueFullError, isQueueFull } from '../errors.ts';
import type { Notifier } from '../notifier.ts';
import type { Accepted } from '../queue.ts';
import { refusalBackoff } from '../recovery/refusal-backoff.ts';
import type { EnqueueCall } from './enqueue-call.ts';
import type { Producer } from './producer.ts';

/** Batches that may be in flight and in preparation while a line is served. */
const BATCHES = 4;

interface LineDeps {
  /** What accepts the jobs now. */
  readonly producer: () => Producer;
  readonly clock: Clock;
  readonly random: Random;
  /** How long a call may wait without one of its jobs being accepted. */
  readonly timeoutMs: number;
  /** Whether a job that is refused for lack of room waits until there is some. */
  readonly waitsForRoom: boolean;
  /**
   * Whether the topic has `maxJobs`. Redis then refuses the last jobs of a batch: the next batch may only be sent
   * when those are in front of it again.
   */
  readonly isBounded: boolean;
  readonly onEmpty: () => void;
}

interface WaitingJob {
  readonly call: EnqueueCall;
  readonly index: number;
}

/** What became of the first jobs of the line. */
interface Submitted {
  readonly accepted: number;
  /** Why some were refused, and wait. */
  readonly refusal: QueueFullError | undefined;
}

/**
 * The jobs of one topic that cannot be submitted yet, in the order of their calls: those of a list longer than the
 * memory has room for, those that a full store has refused (`backpressure: 'wait'`), and all jobs of the topic
 * enqueued after them. Submits as many as there is room for, again and again.
 */
export class TopicLine {
  readonly #deps: LineDeps;
  #waiting: WaitingJob[] = [];
  /** The deadlines of the calls in the line. */
  readonly #deadlines = new Map<EnqueueCall, Timer>();
  /** Ends the current wait for room. */
  #wake = new AbortController();
  /** Why the first job of the line had to wait last. */
  #refusal: QueueFullError | undefined;
  /** Changes only while the line waits for room. */
  #producer: Producer;
  #isServed = false;
  #isSweeping = false;

  constructor(deps: LineDeps) {
    this.#deps = deps;
    this.#producer = deps.producer();
  }

  /** The number of waiting calls. */
  get size(): number {
    return this.#deadlines.size;
  }

  /** Adds the jobs of a call to the end, and serves the line until it is empty. */
  add(call: EnqueueCall): void {
    for (const index of call.jobs.keys()) this.#waiting.push({ call, index });
    call.onStopped = () => this.#sweep(call);
    this.#startDeadline(call);
    if (!this.#isServed) void this.#serve();
  }

  /** There may be room again. */
  wake(): void {
    this.#wake.abort();
  }

  async #serve(): Promise<void> {
    const { producer, random, isBounded, onEmpty } = this.#deps;
    const largest = (isBounded ? 1 : BATCHES) * MAX_BATCH_JOBS;
    let most = largest;
    let delays = refusalBackoff.delays(random);
    this.#isServed = true;
    this.#producer.state.servedLines += 1;
    // One microtask later, so that jobs enqueued in the same turn share a batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const { state } = this.#producer;
      const { accepted, refusal } = await this.#submitUpTo(most);
      this.#refusal = refusal;
      if (accepted > 0) delays = refusalBackoff.delays(random);
      most = refusal === undefined ? largest : Math.max(1, Math.min(largest, 2 * accepted));
      if (refusal !== undefined) {
        state.servedLines -= 1;
        state.progress.notifyAll();
        await this.#wait(state.room, delays.next().value);
        this.#producer = producer();
        this.#producer.state.servedLines += 1;
      } else if (this.#isMemoryFull()) await this.#wait(state.progress);
    }
    this.#isServed = false;
    onEmpty();
    const { state } = this.#producer;
    state.servedLines -= 1;
    state.progress.notifyAll();
  }

  /** Submits the first jobs of the line, as many as the memory has room for and at most `most`. */
  async #submitUpTo(most: number): Promise<Submitted> {
    const largest = (this.#deps.isBounded ? 1 : BATCHES) * MAX_BATCH_CHARACTERS;
    const jobs: WaitingJob[] = [];
    const outcomes: Promise<Accepted>[] = [];
    let characters = 0;
    for (const job of this.#waiting) {
      if (jobs.length === most || this.#isMemoryFull(job)) break;
      characters += lengthOf(job);
      if (jobs.length > 0 && characters > largest) break;
      jobs.push(job);
      outcomes.push(this.#submit(job));
    }
    this.#waiting.splice(0, jobs.length);
    return this.#settle(jobs, await Promise.allSettled(outcomes));
  }

  async #submit({ call, index }: WaitingJob): Promise<Accepted> {
    const submission = call.jobs[index];
    if (submission === undefined) throw new RangeError(`a call without job ${index}`);
    return this.#producer.submit(submission, call.signal, call.onLateOf(index));
  }

  /** Settles the jobs that were accepted or rejected; those that wait for room are in front again. */
  #settle(
    jobs: readonly WaitingJob[],
    results: readonly PromiseSettledResult<Accepted>[],
  ): Submitted {
    const kept: WaitingJob[] = [];
    const calls = new Set<EnqueueCall>();
    let accepted = 0;
    let refusal: QueueFullError | undefined;
    for (const [at, job] of jobs.entries()) {
      const result = results[at];
      const { call, index } = job;
      calls.add(call);
      if (result?.status === 'fulfilled') {
        accepted += 1;
        call.accepted(index, result.value);
      } else if (this.#deps.waitsForRoom && !call.isStopped && isQueueFull(result?.reason)) {
        refusal ??= result?.reason;
        kept.push(job);
      } else call.rejected(index, result?.reason);
    }
    this.#waiting.unshift(...kept);
    const [next] = this.#waiting;
    for (const call of calls) if (call !== next?.call) this.#endDeadline(call);
    if (next !== undefined && accepted > 0 && calls.has(next.call)) this.#startDeadline(next.call);
    return { accepted, refusal };
  }

  #isMemoryFull(job: WaitingJob | undefined = this.#waiting[0]): boolean {
    if (job === undefined) return false;
    const refusal = this.#producer.state.limits.refusalOf(lengthOf(job));
    if (refusal !== undefined) this.#refusal = refusal;
    return refusal !== undefined;
  }

  #startDeadline(call: EnqueueCall): void {
    const { clock, timeoutMs } = this.#deps;
    this.#endDeadline(call);
    if (call.isStopped) return;
    const onTime = (): void => this.#giveUp(call);
    this.#deadlines.set(call, clock.schedule(timeoutMs, onTime, { holdsProcess: false }));
  }

  #endDeadline(call: EnqueueCall): void {
    this.#deadlines.get(call)?.cancel();
    this.#deadlines.delete(call);
  }

  /** Rejects a call that has waited too long. */
  #giveUp(call: EnqueueCall): void {
    const at = this.#waiting.findIndex((job) => job.call === call);
    const [first] = at === -1 ? [] : this.#waiting.splice(at, 1);
    if (first === undefined) return;
    const seen = `earlier jobs of the topic have waited ${this.#deps.timeoutMs} ms for room`;
    call.rejected(first.index, this.#refusal ?? new QueueFullError('maxPendingJobs', seen));
  }

  /** Removes the jobs of stopped calls: once for all calls that are stopped in one turn. */
  #sweep(stopped: EnqueueCall): void {
    this.#endDeadline(stopped);
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    queueMicrotask(() => {
      this.#isSweeping = false;
      const all = this.#waiting;
      this.#waiting = all.filter(({ call }) => !call.isStopped);
      for (const { call, index } of all) if (call.isStopped) call.skipped(index);
      if (this.#waiting.length === 0) this.wake();
    });
  }

  /** Resolves when notified or woken, or after `delayMs`. */
  async #wait(notifier: Notifier, delayMs?: number): Promise<void> {
    const wake = new AbortController();
    this.#wake = wake;
    const waits = [notifier.wait(wake.signal)];
    if (delayMs !== undefined) waits.push(sleep(this.#deps.clock, delayMs, wake.signal));
    await Promise.race(waits.map((wait) => wait.catch(() => undefined)));
    wake.abort();
  }
}

function lengthOf({ call, index }: WaitingJob): number {
  return call.jobs[index]?.payload.length ?? 0;
}
