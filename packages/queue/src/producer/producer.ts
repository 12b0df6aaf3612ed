import {
  PoisonJobError,
  QueueClosedError,
  QueueFullError,
  ServerUnsupportedError,
  isJournalFull,
  toBackendFailure,
  toEnqueueError,
} from '../errors.ts';
import { isHoldfastError } from '@holdfast/foundation';
import type { PublishReceipt } from '../backend.ts';
import type { StoredJob } from '../fallback/record.ts';
import { publishIsolatingPoison } from '../publish.ts';
import type { Accepted } from '../queue.ts';
import { ConnectionMonitor } from '../recovery/connection-monitor.ts';
import { type OnLate, PendingJob, type Submission } from '../state/pending-job.ts';
import { reportOperations } from '../state/operation-reports.ts';
import { type ProducerDeps, ProducerState } from '../state/producer-state.ts';
import type { TopicBuffer } from '../state/topic-buffer.ts';

/** The most batches of a topic in flight to Redis. */
const MAX_IN_FLIGHT = 3;
/** The fewest jobs of a batch that is sent while others are in flight. */
const MIN_PIPELINED_JOBS = 48;

/**
 * Sends each job to Redis or to the fallback, in order.
 *
 *                             direct
 *     submit ──▶ buffer ───────────────────▶ Redis ──▶ accepted: 'redis'
 *                  │  ▲ batch failed            ▲
 *                  │  └─────────────────────────┤
 *                  │ otherwise                  │ drainer, oldest first
 *                  └────────▶ journal ──────────┘ ──▶ accepted: 'journal'
 *
 * With `acknowledge: 'local'` every job is written to the journal; while Redis is up it is forwarded at once.
 */
export class Producer {
  readonly state: ProducerState;
  readonly monitor: ConnectionMonitor;
  readonly #deps: ProducerDeps;

  constructor(deps: ProducerDeps) {
    this.#deps = deps;
    this.state = new ProducerState(deps, () => this.#pumpAll());
    this.monitor = new ConnectionMonitor(deps, this.state);
    deps.backlog.onResumed(() => this.#onResumed());
  }

  /** Reads the age of the backlog that an earlier owner left. */
  async open(): Promise<void> {
    const { jobs } = await this.#deps.backlog.window();
    this.state.recordOldest(jobs[0]);
  }

  /**
   * Settles as the job does; rejects with the journal's error, or with the signal's own reason.
   * @param onLate called if the job is accepted after the promise has been rejected
   * @throws QueueFullError, QueueClosedError, ServerUnsupportedError: synchronously, without a promise.
   */
  submit(submission: Submission, signal?: AbortSignal, onLate?: OnLate): Promise<Accepted> {
    const { machine, limits } = this.state;
    if (machine.state === 'closed') throw new QueueClosedError('enqueue');
    const { failure } = machine;
    if (failure?.errorClass === 'unsupported') throw new ServerUnsupportedError('enqueue', failure);
    limits.assertRoom(submission.payload);
    const buffer = this.state.bufferOf(submission.topic);
    limits.add(submission.payload);
    const { epoch: originEpoch, nonce: originNonce } = this.#deps.backlog;
    const job = { ...submission, sequence: buffer.nextSequence(), originEpoch, originNonce };
    const pending = new PendingJob(job, this.#onSettled, signal, onLate);
    buffer.add(pending);
    this.#pump(buffer);
    return pending.outcome;
  }

  readonly #onSettled = ({ payload }: StoredJob): void => {
    this.state.limits.remove(payload);
    this.state.progress.notifyAll();
  };

  /** Resolves once no job is pending and, with `drained`, the fallback is empty. */
  async settle(drained: boolean, signal: AbortSignal): Promise<void> {
    const { counts, progress } = this.state;
    const { backlog } = this.#deps;
    const isBusy = (): boolean =>
      counts.pending > 0 || this.state.servedLines > 0 || (drained && backlog.size > 0);
    while (isBusy()) await progress.wait(signal);
  }

  /** Rejects the pending jobs and stops draining. */
  async close(): Promise<void> {
    this.state.machine.dispatch({ kind: 'closed' });
    this.#pumpAll();
    await this.handOver();
    this.state.retention.close();
  }

  /** Stops: another producer continues with the same store, and with what this one retains. */
  async handOver(): Promise<void> {
    this.state.progress.notifyAll();
    this.state.room.notifyAll();
    await this.monitor.close();
    await Promise.all(this.state.pendingAppends);
  }

  #pumpAll(): void {
    for (const buffer of this.state.buffers.values()) this.#pump(buffer);
  }

  /** Moves the waiting jobs of a topic on, as far as the state of the queue allows. */
  #pump(buffer: TopicBuffer): void {
    if (buffer.isSpilling || buffer.isEmpty) return;
    const { machine, isJournalFirst, isThrottled } = this.state;
    const { state, failure } = machine;
    if (state === 'direct' && !isJournalFirst) return this.#sendWaiting(buffer);
    if (buffer.isSending) return;
    if (state === 'opening' || (state === 'draining' && isThrottled && !isJournalFirst)) return;
    if (state === 'direct') {
      buffer.isSpilling = true;
      queueMicrotask(() => this.#spill(buffer));
    } else if (state === 'closed') {
      for (const job of buffer.takeAll()) {
        job.reject(new QueueClosedError('enqueue', job.wasSent ? 'unknown' : 'not-applied'));
      }
    } else if (failure?.errorClass === 'unsupported') {
      for (const job of buffer.takeAll())
        job.reject(new ServerUnsupportedError('enqueue', failure));
    } else {
      this.#spill(buffer);
    }
  }

  /**
   * Sends a batch when none is in flight. Sends further batches behind it once they are large enough: Redis
   * processes one while the next is being built.
   */
  #sendWaiting(buffer: TopicBuffer): void {
    const { acknowledge, topics } = this.#deps;
    // With `maxJobs`, a rejected job would make Redis reject the batches behind it, which name it. With
    // `replicated`, WAIT covers everything written before it, so further batches would delay it.
    const isAlone = acknowledge === 'replicated' || topics.get(buffer.topic)?.maxJobs !== undefined;
    const most = isAlone ? 0 : MAX_IN_FLIGHT;
    while (!buffer.isRewinding && buffer.inFlight < most && buffer.size >= MIN_PIPELINED_JOBS) {
      void this.#send(buffer);
    }
    if (buffer.isEmpty || buffer.isSending || buffer.isBatching) return;
    buffer.isBatching = true;
    // One microtask later, so that jobs enqueued in the same turn share a batch.
    queueMicrotask(() => {
      buffer.isBatching = false;
      if (!buffer.isSending && this.state.machine.state === 'direct') void this.#send(buffer);
      else this.#pump(buffer);
    });
  }

  async #send(buffer: TopicBuffer): Promise<void> {
    const { events, clock, topics } = this.#deps;
    const { topic } = buffer;
    const { identity } = this.state;
    const batch = buffer.takeForRedis();
    const jobs = batch.map(({ job }) => job);
    const maxJobs = topics.get(topic)?.maxJobs;
    const publication = {
      ...this.state.publicationFor(buffer, jobs, buffer.lastSentSequence),
      maxJobs,
    };
    buffer.send(batch);
    try {
      if (batch.length === 0) return;
      const poisoned = new Map<number, string>();
      const receipt = await publishIsolatingPoison(
        identity,
        publication,
        ({ sequence }, reason) => {
          poisoned.set(sequence, reason);
        },
      );
      this.#settleBatch(buffer, batch, poisoned, receipt);
    } catch (error) {
      const isNews = buffer.isFirstToFail(batch);
      buffer.requeue(batch);
      events.emit('spilled', { topic, jobs: batch.length, atMs: clock.now() });
      if (isNews) this.monitor.failed(toBackendFailure(error));
    } finally {
      buffer.settle(batch);
      this.#pump(buffer);
    }
  }

  /** Settles the jobs of a batch that Redis has processed: added, without room, or poison. */
  #settleBatch(
    buffer: TopicBuffer,
    batch: readonly PendingJob[],
    poisoned: ReadonlyMap<number, string>,
    receipt: Pick<PublishReceipt, 'refused' | 'duplicates' | 'outcomes'>,
  ): void {
    const { backend, topics } = this.#deps;
    const { topic } = buffer;
    const room = batch.length - receipt.refused;
    const taken = batch.slice(0, room);
    const added =
      poisoned.size === 0 ? taken : taken.filter(({ job }) => !poisoned.has(job.sequence));
    const jobs = added.map(({ job }) => job);
    this.state.confirm(buffer, jobs);
    this.state.counts.acceptedByRedis += added.length;
    const duplicates = skippedAsDuplicates(added, receipt.duplicates);
    const { outcomes } = receipt;
    for (const pending of added) {
      const outcome = outcomes?.get(pending.job.sequence);
      pending.accept(backend.kind, duplicates.has(pending), outcome);
    }
    if (outcomes !== undefined) reportOperations(this.#deps, topic, jobs, outcomes);
    const limit = `${topic} holds ${topics.get(topic)?.maxJobs} jobs (maxJobs) in Redis already`;
    for (const job of batch.slice(room)) job.reject(new QueueFullError('maxJobs', limit));
    for (const pending of poisoned.size === 0 ? [] : batch) {
      const { id, sequence } = pending.job;
      const reason = poisoned.get(sequence);
      if (reason === undefined) continue;
      pending.reject(new PoisonJobError(topic, id, reason));
      this.state.reportPoison(topic, id, reason, false);
    }
  }

  /** Writes the waiting jobs of a topic to the fallback, one batch after the other. */
  #spill(buffer: TopicBuffer): void {
    const { pendingAppends } = this.state;
    const batch = buffer.take();
    buffer.isSpilling = batch.length > 0;
    if (!buffer.isSpilling) return this.#pump(buffer);
    const spill = this.#append(buffer, batch).finally(() => {
      pendingAppends.delete(spill);
      buffer.isSpilling = false;
      this.#pump(buffer);
    });
    pendingAppends.add(spill);
  }

  async #append(buffer: TopicBuffer, batch: readonly PendingJob[]): Promise<void> {
    const { backlog, fallback } = this.#deps;
    const { counts, machine, isJournalFirst } = this.state;
    try {
      await backlog.append(batch.map(({ job }) => job));
    } catch (error) {
      if (isJournalFull(error) && batch.length > 1) return this.#appendHalves(buffer, batch);
      const mayEnd = isHoldfastError(error) && error.code === 'JOURNAL_STALLED';
      if (mayEnd && error.outcome === 'unknown' && !isJournalFirst) buffer.keepInDoubt(batch);
      for (const job of batch) job.reject(toEnqueueError(error, job.wasSent));
      return;
    }
    if (backlog.size <= batch.length) this.state.recordOldest(batch[0]?.job);
    counts.acceptedByFallback += batch.length;
    for (const job of batch) job.accept(fallback);
    if (isJournalFirst && machine.state === 'direct') this.monitor.forward();
  }

  /** The journal may have room for some of the jobs. */
  async #appendHalves(buffer: TopicBuffer, batch: readonly PendingJob[]): Promise<void> {
    const half = Math.ceil(batch.length / 2);
    await this.#append(buffer, batch.slice(0, half));
    await this.#append(buffer, batch.slice(half));
  }

  /** The disk of the journal answers again: jobs that it took late are forwarded like any others. */
  #onResumed(): void {
    for (const buffer of this.state.buffers.values()) buffer.dropInDoubt();
    if (this.state.machine.state === 'direct') this.monitor.forward();
  }
}

/** The jobs that Redis has skipped for their ids; of several with one id, it may have added the first. */
function skippedAsDuplicates(
  batch: readonly PendingJob[],
  ids: readonly string[],
): ReadonlySet<PendingJob> {
  const skipped = new Set<PendingJob>();
  if (ids.length === 0) return skipped;
  const left = new Map<string, number>();
  for (const id of ids) left.set(id, (left.get(id) ?? 0) + 1);
  for (const pending of batch.toReversed()) {
    const times = left.get(pending.job.id) ?? 0;
    if (times === 0) continue;
    left.set(pending.job.id, times - 1);
    skipped.add(pending);
  }
  return skipped;
}
