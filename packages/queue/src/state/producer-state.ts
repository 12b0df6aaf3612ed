import type { Clock, Emitter, Random } from '@holdfast/foundation';
import type {
  BackendFailure,
  Publication,
  PublishReceipt,
  PublishedJob,
  QueueBackend,
} from '../backend.ts';
import { inBatches } from '../batch-limits.ts';
import { QueueFullError } from '../errors.ts';
import type { Backlog } from '../fallback/backlog.ts';
import type { PoisonStore } from '../fallback/poison-store.ts';
import type { TopicOptions } from '../options.ts';
import type { AcknowledgeLevel, Acceptor, QueueEvents } from '../queue.ts';
import { reportOperations } from './operation-reports.ts';
import { QueueStateMachine } from './state-machine.ts';
import type { QueueTracing } from '../tracing/tracing.ts';
import { Notifier } from '../notifier.ts';
import { ProducerIdentity } from './producer-identity.ts';
import { PendingLimits } from './pending-limits.ts';
import type { RemainingDelays } from './remaining-delays.ts';
import { ResendBuffer, Retention } from './resend-buffer.ts';
import { TopicBuffer } from './topic-buffer.ts';

/** Buffers that are not in use are looked for when a topic is new, and at most this often. */
const SWEEP_EVERY_MS = 60_000;
/** The most buffers removed at once. */
const MAX_REMOVED = 100;

/** The collaborators and options of the producer, the drainer, the connection monitor and their state. */
export interface ProducerDeps {
  readonly backend: QueueBackend;
  readonly backlog: Backlog;
  readonly poison: PoisonStore;
  readonly fallback: Exclude<Acceptor, 'redis'>;
  readonly events: Emitter<QueueEvents>;
  readonly clock: Clock;
  readonly delays: RemainingDelays;
  readonly random: Random;
  readonly maxTopics: number;
  readonly maxPendingJobs: number;
  readonly maxPendingBytes: number;
  readonly retainMs: number;
  readonly maxRetainedBytes: number;
  readonly acknowledge: AcknowledgeLevel;
  readonly topics: ReadonlyMap<string, TopicOptions>;
  readonly tracing?: QueueTracing | undefined;
  /** The state of the producer that this one continues: it had no journal. */
  readonly former?: ProducerState | undefined;
}

/**
 * The state that the producer, the drainer and the connection monitor share: the queue's state machine, the buffers
 * of the topics, the counters, and what Redis has confirmed. It does no I/O.
 */
export class ProducerState {
  readonly machine: QueueStateMachine;
  readonly counts = {
    acceptedByRedis: 0,
    acceptedByFallback: 0,
    drained: 0,
    alreadyApplied: 0,
    pending: 0,
    shed: 0,
  };
  readonly dataLoss: { count: number; jobs: number; resent: number };
  readonly buffers: Map<string, TopicBuffer> = new Map();
  readonly limits: PendingLimits;
  readonly identity: ProducerIdentity;
  /** Notified when a job is settled, or drained. */
  readonly progress: Notifier = new Notifier();
  /** Notified when the fallback may have room again. */
  readonly room: Notifier = new Notifier();
  /** The number of lines whose jobs are being submitted; those that wait for room in a store are not. */
  servedLines = 0;
  /** Writes to the fallback that are in progress. */
  readonly pendingAppends: Set<Promise<void>> = new Set();
  /** With `acknowledge: 'local'` every job is written to the fallback first, also while Redis is up. */
  readonly isJournalFirst: boolean;
  readonly #deps: ProducerDeps;
  /** What Redis has confirmed lately, of all topics. */
  readonly retention: Retention;
  readonly #onResume: () => void;
  #isThrottled = false;
  /** When buffers that are not in use were looked for. */
  #sweptAtMs = 0;
  /** The highest number of a job in a buffer that was removed. */
  #removedSequence = 0;
  /** When the oldest job of the backlog was enqueued, by the wall clock. */
  #backlogSinceMs: number | undefined;
  #connectedAtMs = 0;
  /** The current drain: when it started, and how many jobs it has moved. */
  #drain: { readonly sinceMs: number; jobs: number } | undefined;
  /** When Redis first failed; `undefined` once it has been asked, after that, what it still has. */
  readonly #loss: { atMs: number | undefined };

  /** @param onResume called when waiting jobs may proceed: after a failure, and when throttling ends. */
  constructor(deps: ProducerDeps, onResume: () => void) {
    this.#deps = deps;
    this.#onResume = onResume;
    const { former } = deps;
    this.machine = new QueueStateMachine(deps.events, deps.clock, former?.machine.shown);
    this.limits = new PendingLimits(deps, this.counts);
    this.identity = new ProducerIdentity(deps);
    const { clock, retainMs, maxRetainedBytes: maxCharacters } = deps;
    this.dataLoss = former?.dataLoss ?? { count: 0, jobs: 0, resent: 0 };
    this.#loss = former === undefined ? { atMs: undefined } : former.#loss;
    const lostAtMs = (): number | undefined => this.#loss.atMs;
    this.retention =
      former?.retention ?? new Retention({ clock, retainMs, maxCharacters, lostAtMs });
    this.isJournalFirst = deps.acknowledge === 'local';
  }

  get isThrottled(): boolean {
    return this.#isThrottled;
  }

  /** The age of the oldest job of the backlog. */
  get oldestAgeMs(): number | undefined {
    const { clock, backlog } = this.#deps;
    if (this.#backlogSinceMs === undefined || backlog.size === 0) return undefined;
    return Math.max(0, clock.epochMs() - this.#backlogSinceMs);
  }

  /** The time the rest of the backlog takes at the pace of the current drain. */
  get drainEtaMs(): number | undefined {
    const { clock, backlog } = this.#deps;
    if (this.#drain === undefined) return undefined;
    const tookMs = clock.now() - this.#drain.sinceMs;
    return Math.ceil((backlog.size * tookMs) / this.#drain.jobs);
  }

  /** @throws QueueFullError when `maxTopics` buffers are in use. */
  bufferOf(topic: string): TopicBuffer {
    const known = this.buffers.get(topic);
    if (known !== undefined) {
      known.wasUsed = true;
      return known;
    }
    const { maxTopics, clock } = this.#deps;
    const isDue = clock.now() - this.#sweptAtMs >= SWEEP_EVERY_MS;
    if (isDue || this.buffers.size >= maxTopics) this.#removeIdleBuffers();
    if (this.buffers.size >= maxTopics) {
      throw new QueueFullError('maxTopics', `${maxTopics} topics (maxTopics) are in use already`);
    }
    const buffer = new TopicBuffer(topic, new ResendBuffer(this.retention), this.#removedSequence);
    this.buffers.set(topic, buffer);
    return buffer;
  }

  /**
   * Removes buffers that were not used since the last time; all that are idle when there are too many. The numbers of
   * a new buffer of the same topic continue behind those of the removed one, which Redis may remember.
   */
  #removeIdleBuffers(): void {
    const { maxTopics, clock, backlog, backend, former } = this.#deps;
    this.#sweptAtMs = clock.now();
    const isFull = this.buffers.size >= maxTopics;
    if (former !== undefined) former.#forgetIdle();
    let removed = 0;
    for (const [topic, buffer] of this.buffers) {
      const isIdle = buffer.isIdle || (buffer.isSettled && backlog.size === 0);
      const isUnused = isFull || !buffer.wasUsed;
      buffer.wasUsed = false;
      if (!isIdle || !isUnused || removed === MAX_REMOVED) continue;
      removed += 1;
      this.#removedSequence = Math.max(this.#removedSequence, buffer.lastSequence);
      this.buffers.delete(topic);
      backend.forgetTopic?.(topic);
    }
  }

  /** This state is continued by another one, and nothing is sent by its numbers any more. */
  #forgetIdle(): void {
    for (const [topic, { isIdle }] of this.buffers) if (isIdle) this.buffers.delete(topic);
  }

  recordConnected(): void {
    this.#connectedAtMs = this.#deps.clock.now();
  }

  /** Records that Redis is unreachable or rejects jobs. */
  recordFailure(failure: BackendFailure): void {
    this.#loss.atMs ??= this.#deps.clock.now();
    this.#deps.backlog.lostAtMs = this.#loss.atMs;
    this.#drain = undefined;
    this.machine.fail(failure);
  }

  /** Records that Redis has all that it had confirmed; what it confirms from now on may be lost by the next failure. */
  recordNothingLost(): void {
    this.#loss.atMs = undefined;
    this.#deps.backlog.lostAtMs = undefined;
  }

  /** While throttled, new jobs wait in memory, so that the backlog can be drained completely. */
  throttleNewJobs(isThrottled: boolean): void {
    this.#isThrottled = isThrottled;
    if (!isThrottled) this.#onResume();
  }

  /** Records when the oldest job of the backlog was enqueued. */
  recordOldest(job: PublishedJob | undefined): void {
    this.#backlogSinceMs = job?.enqueuedAtMs;
  }

  recordDrained({ jobs, topic, originNonce }: Publication, receipt: PublishReceipt): void {
    this.counts.drained += jobs.length;
    this.#drain ??= { sinceMs: this.#connectedAtMs, jobs: 0 };
    this.#drain.jobs += jobs.length;
    this.counts.alreadyApplied += receipt.alreadyApplied;
    this.recordOldest(jobs[0]);
    reportOperations(this.#deps, topic, jobs, receipt.outcomes);
    if (originNonce === this.#deps.backlog.nonce) this.confirm(this.bufferOf(topic), jobs);
  }

  /** Records that Redis has accepted these jobs. */
  confirm(buffer: TopicBuffer, jobs: readonly PublishedJob[]): void {
    buffer.resendBuffer.add(jobs);
    buffer.confirmedSequence = Math.max(buffer.confirmedSequence, jobs.at(-1)?.sequence ?? 0);
  }

  /**
   * A publication of jobs with this process's numbering.
   * @param previous the sequence that Redis must know before these jobs.
   */
  publicationFor(
    buffer: TopicBuffer,
    jobs: readonly PublishedJob[],
    previous: number = buffer.confirmedSequence,
  ): Publication {
    const { backlog, clock, topics } = this.#deps;
    const { topic, confirmedSequence, resendBuffer } = buffer;
    const oldest = resendBuffer.oldestSequence(this.#loss.atMs ?? clock.now());
    const floor = oldest === undefined ? confirmedSequence : oldest - 1;
    const { partitions } = topics.get(topic) ?? {};
    const origin = { originEpoch: backlog.epoch, originNonce: backlog.nonce };
    return { topic, ...this.identity.owner, ...origin, floor, previous, partitions, jobs };
  }

  /** Publications without jobs. Their receipts tell which confirmed jobs Redis still has. */
  highWaterMarkQueries(): Publication[] {
    const own = [...this.buffers.values()]
      .filter((buffer) => buffer.confirmedSequence > 0 && !buffer.isSending)
      .map((buffer) => this.publicationFor(buffer, [], 0));
    // Its jobs precede those of this state.
    return [...(this.#deps.former?.highWaterMarkQueries() ?? []), ...own];
  }

  /** The jobs to send again, given the receipt of such a query; empty when Redis has lost nothing. */
  lostJobs(query: Publication, receipt: PublishReceipt): Publication[] {
    const { clock, former, backlog } = this.#deps;
    const isOwn = query.originNonce === backlog.nonce;
    if (!isOwn && former !== undefined) return former.lostJobs(query, receipt);
    const { remembered } = receipt;
    const { topic, confirmedSequence, resendBuffer } = this.bufferOf(query.topic);
    const jobs = confirmedSequence - remembered;
    if (jobs <= 0) return [];
    const again = resendBuffer.confirmedAfter(remembered, this.#loss.atMs ?? clock.now());
    resendBuffer.touch();
    this.reportLost(topic, jobs, again.length);
    return inBatches(again).map((batch) => Object.assign({}, query, { jobs: batch }));
  }

  /** @param jobs how many confirmed jobs the server has lost. */
  reportLost(topic: string, jobs: number, resent: number): void {
    const { events, clock } = this.#deps;
    this.dataLoss.count += 1;
    this.dataLoss.jobs += jobs;
    this.dataLoss.resent += resent;
    events.emit('server-lost-jobs', { topic, jobs, resent, atMs: clock.now() });
  }

  /** @param kept whether the fallback had accepted the job, and keeps it. */
  reportPoison(topic: string, id: string, reason: string, kept: boolean): void {
    const { events, clock } = this.#deps;
    events.emit('poisoned', { topic, id, reason, kept, atMs: clock.now() });
  }
}
