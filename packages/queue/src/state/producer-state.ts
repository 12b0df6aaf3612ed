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
import { QueueStateMachine } from './state-machine.ts';
import { Notifier } from '../notifier.ts';
import { PendingLimits } from './pending-limits.ts';
import { ResendBuffer, type ResendBudget } from './resend-buffer.ts';
import { TopicBuffer } from './topic-buffer.ts';

/** The collaborators and options of the producer, the drainer, the connection monitor and their state. */
export interface ProducerDeps {
  readonly backend: QueueBackend;
  readonly backlog: Backlog;
  readonly poison: PoisonStore;
  readonly fallback: Exclude<Acceptor, 'redis'>;
  readonly events: Emitter<QueueEvents>;
  readonly clock: Clock;
  readonly random: Random;
  readonly maxTopics: number;
  readonly maxPendingJobs: number;
  readonly maxPendingBytes: number;
  readonly retainMs: number;
  readonly maxRetainedBytes: number;
  readonly acknowledge: AcknowledgeLevel;
  readonly topics: ReadonlyMap<string, TopicOptions>;
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
  readonly dataLoss = { count: 0, jobs: 0, resent: 0 };
  readonly buffers: Map<string, TopicBuffer> = new Map();
  readonly limits: PendingLimits;
  /** Notified when a job is settled, or drained. */
  readonly progress: Notifier = new Notifier();
  /** Writes to the fallback that are in progress. */
  readonly pendingAppends: Set<Promise<void>> = new Set();
  /** With `acknowledge: 'local'` every job is written to the fallback first, also while Redis is up. */
  readonly isJournalFirst: boolean;
  readonly #deps: ProducerDeps;
  readonly #budget: ResendBudget;
  readonly #onResume: () => void;
  #isThrottled = false;
  /** When the oldest job of the backlog was enqueued, by the wall clock. */
  #backlogSinceMs: number | undefined;
  #connectedAtMs = 0;
  /** The current drain: when it started, and how many jobs it has moved. */
  #drain: { readonly sinceMs: number; jobs: number } | undefined;
  /** When the connection was lost; `undefined` while Redis is up. */
  #lostAtMs: number | undefined;

  /** @param onResume called when waiting jobs may proceed: after a failure, and when throttling ends. */
  constructor(deps: ProducerDeps, onResume: () => void) {
    this.#deps = deps;
    this.#onResume = onResume;
    this.machine = new QueueStateMachine(deps.events, deps.clock);
    this.limits = new PendingLimits(deps, this.counts);
    this.#budget = { leftCharacters: deps.maxRetainedBytes };
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

  /** @throws QueueFullError when `maxTopics` buffers exist. */
  bufferOf(topic: string): TopicBuffer {
    const known = this.buffers.get(topic);
    if (known !== undefined) return known;
    const { maxTopics, retainMs } = this.#deps;
    if (this.buffers.size >= maxTopics) {
      throw new QueueFullError('maxTopics', `${maxTopics} topics (maxTopics) are in use already`);
    }
    const buffer = new TopicBuffer(topic, new ResendBuffer(retainMs, this.#budget));
    this.buffers.set(topic, buffer);
    return buffer;
  }

  recordConnected(): void {
    this.#connectedAtMs = this.#deps.clock.now();
  }

  /** Records that Redis is unreachable or rejects jobs. */
  recordFailure(failure: BackendFailure): void {
    this.#lostAtMs ??= this.#deps.clock.now();
    this.#drain = undefined;
    this.machine.fail(failure);
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

  recordDrained({ jobs, topic, originEpoch }: Publication, receipt: PublishReceipt): void {
    this.counts.drained += jobs.length;
    this.#drain ??= { sinceMs: this.#connectedAtMs, jobs: 0 };
    this.#drain.jobs += jobs.length;
    this.counts.alreadyApplied += receipt.alreadyApplied;
    this.recordOldest(jobs[0]);
    if (originEpoch === this.#deps.backlog.epoch) this.confirm(this.bufferOf(topic), jobs);
  }

  /** Records that Redis has accepted these jobs. */
  confirm(buffer: TopicBuffer, jobs: readonly PublishedJob[]): void {
    this.#lostAtMs = undefined;
    buffer.resendBuffer.add(jobs, this.#deps.clock.now());
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
    const { id: producer, epoch } = backlog;
    const { topic, confirmedSequence, resendBuffer } = buffer;
    const oldest = resendBuffer.oldestSequence(this.#lostAtMs ?? clock.now());
    const floor = oldest === undefined ? confirmedSequence : oldest - 1;
    const { partitions } = topics.get(topic) ?? {};
    const epochs = { ownerEpoch: epoch, originEpoch: epoch };
    return { topic, producer, ...epochs, floor, previous, partitions, jobs };
  }

  /** Publications without jobs. Their receipts tell which confirmed jobs Redis still has. */
  highWaterMarkQueries(): Publication[] {
    return [...this.buffers.values()]
      .filter((buffer) => buffer.confirmedSequence > 0 && !buffer.isSending)
      .map((buffer) => this.publicationFor(buffer, [], 0));
  }

  /** The jobs to send again, given the receipt of such a query; empty when Redis has lost nothing. */
  lostJobs(query: Publication, { remembered }: PublishReceipt): Publication[] {
    const { events, clock } = this.#deps;
    const { topic, confirmedSequence, resendBuffer } = this.bufferOf(query.topic);
    const jobs = confirmedSequence - remembered;
    if (jobs <= 0) return [];
    const again = resendBuffer.confirmedAfter(remembered, this.#lostAtMs ?? clock.now());
    resendBuffer.touch(clock.now());
    this.dataLoss.count += 1;
    this.dataLoss.jobs += jobs;
    this.dataLoss.resent += again.length;
    events.emit('server-lost-jobs', { topic, jobs, resent: again.length, atMs: clock.now() });
    return inBatches(again).map((batch) => Object.assign({}, query, { jobs: batch }));
  }

  /** @param kept whether the fallback had accepted the job, and keeps it. */
  reportPoison(topic: string, id: string, reason: string, kept: boolean): void {
    const { events, clock } = this.#deps;
    events.emit('poisoned', { topic, id, reason, kept, atMs: clock.now() });
  }
}
