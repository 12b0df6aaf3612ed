import type { BackendFailure, Publication, PublishReceipt, PublishedJob } from '../backend.ts';
import {
  PoisonJobError,
  QueueClosedError,
  QueueFullError,
  ServerUnsupportedError,
} from '../errors.ts';
import { publishIsolatingPoison } from '../publish.ts';
import type { ProducerDeps } from './producer-deps.ts';
import { isJournalFull, toEnqueueError } from '../fallback/enqueue-error.ts';
import { TopicBuffer, inBatches } from './topic-buffer.ts';
import { PendingJob, type Submission } from './pending-job.ts';
import { PendingLimits } from './pending-limits.ts';
import { Notifier } from './notifier.ts';
import type { Accepted } from '../queue.ts';
import { type Inflow, Recovery, failureOf } from '../recovery/recovery.ts';
import type { StoredJob } from '../fallback/record.ts';
import { ResendBuffer, type ResendBudget } from './resend-buffer.ts';
import { QueueStateMachine } from '../recovery/state-machine.ts';

/** How many batches of a topic may be in flight to Redis. */
const MAX_IN_FLIGHT = 3;
/** How many jobs a batch has at least that follows others. */
const FOLLOWING_JOBS = 48;

/**
 * Routes each job to Redis or to the fallback, in order.
 *
 *                            direct
 *     submit ──▶ lane ───────────────────▶ Redis ──▶ accepted: 'redis'
 *                 │  ▲ batch failed          ▲
 *                 │  └───────────────────────┤
 *                 │ otherwise                │ recovery, oldest first
 *                 └────────▶ journal ────────┘ ──▶ accepted: 'journal'
 *
 * With `acknowledge: 'local'` every job goes by the journal; while Redis is there it is forwarded at once.
 */
export class Producer implements Inflow {
  readonly machine: QueueStateMachine;
  readonly counts = {
    acceptedByRedis: 0,
    acceptedByFallback: 0,
    drained: 0,
    alreadyApplied: 0,
    pending: 0,
    shed: 0,
  };
  readonly forgot = { times: 0, jobs: 0, resent: 0 };
  readonly #parts: ProducerDeps;
  readonly #recovery: Recovery;
  readonly #lanes = new Map<string, TopicBuffer>();
  readonly #spills = new Set<Promise<void>>();
  readonly #progress = new Notifier();
  readonly #room: PendingLimits;
  /** When the oldest job of the backlog was enqueued, by the wall clock. */
  #backlogSinceMs: number | undefined;
  #isHeldBack = false;
  #drainableMs = 0;
  /** The drain under way: since its first window was asked for, and what it has brought over. */
  #drain: { readonly sinceMs: number; jobs: number } | undefined;
  /** When Redis was last known to be there, while it is not. */
  #lostAtMs: number | undefined;
  readonly #budget: ResendBudget;
  readonly #isJournalFirst: boolean;

  constructor(parts: ProducerDeps) {
    this.#parts = parts;
    this.#room = new PendingLimits(parts, this.counts);
    this.#budget = { leftCharacters: parts.maxRetainedBytes };
    this.machine = new QueueStateMachine(parts.announcer, parts.clock);
    this.#isJournalFirst = parts.acknowledge === 'local';
    this.#recovery = new Recovery({
      ...parts,
      machine: this.machine,
      inflow: this,
      onPoison: (topic, id, reason) => this.#tellPoison(topic, id, reason, true),
      isJournalFirst: this.#isJournalFirst,
    });
  }

  /** How long the oldest job of the backlog has been waiting. */
  get oldestAgeMs(): number | undefined {
    const { clock, backlog } = this.#parts;
    if (this.#backlogSinceMs === undefined || backlog.size === 0) return undefined;
    return Math.max(0, clock.epochMs() - this.#backlogSinceMs);
  }

  /** How long the backlog will take at the pace of the present drain. */
  get drainEtaMs(): number | undefined {
    const { clock, backlog } = this.#parts;
    if (this.#drain === undefined) return undefined;
    const tookMs = clock.now() - this.#drain.sinceMs;
    return Math.ceil((backlog.size * tookMs) / this.#drain.jobs);
  }

  /** Learns how old the backlog of an earlier owner is. */
  async open(): Promise<void> {
    const { jobs } = await this.#parts.backlog.window();
    this.#backlogSinceMs = jobs[0]?.enqueuedAtMs;
  }

  /** Redis can be asked. */
  linkUp(): void {
    this.#drainableMs = this.#parts.clock.now();
    this.#recovery.start();
  }

  /** Redis cannot be reached, or refuses. */
  linkFailed(failure: BackendFailure): void {
    this.#lostAtMs ??= this.#parts.clock.now();
    this.#drain = undefined;
    this.machine.fail(failure);
    this.holdBack(false);
    this.#recovery.restart();
  }

  /**
   * Settles as the job does; rejects with what the journal threw, or the signal's own reason.
   * @throws QueueFullError, QueueClosedError, ServerUnsupportedError: at once, without a promise of its own.
   */
  submit(submission: Submission, signal?: AbortSignal): Promise<Accepted> {
    if (this.machine.state === 'closed') throw new QueueClosedError('enqueue');
    const { failure } = this.machine;
    if (failure?.errorClass === 'unsupported') throw new ServerUnsupportedError('enqueue', failure);
    this.#room.assertRoom(submission.payload);
    const lane = this.#laneOf(submission.topic);
    this.#room.add(submission.payload);
    const { epoch: originEpoch } = this.#parts.backlog;
    const job = { ...submission, sequence: lane.nextSequence(), originEpoch };
    const pending = new PendingJob(job, this.#onSettled, signal);
    lane.add(pending);
    this.#pump(lane);
    return pending.outcome;
  }

  readonly #onSettled = ({ payload }: StoredJob): void => {
    this.#room.remove(payload);
    this.tellProgress();
  };

  /** Resolves once nothing is on its way and, with `drained`, the fallback is empty. */
  async settle(drained: boolean, signal: AbortSignal): Promise<void> {
    const { backlog } = this.#parts;
    const isBusy = (): boolean => this.counts.pending > 0 || (drained && backlog.size > 0);
    while (isBusy()) await this.progress(signal);
  }

  /** Resolves when a job was answered or brought over next; rejects with the signal's own reason. */
  progress(signal: AbortSignal): Promise<void> {
    return this.#progress.wait(signal);
  }

  /** Refuses what is still on its way and stops draining. */
  async close(): Promise<void> {
    this.machine.move({ kind: 'closed' });
    this.#pumpAll();
    this.tellProgress();
    await this.#recovery.close();
    await this.spilling();
  }

  markQueries(): Publication[] {
    const asked = [...this.#lanes.values()].filter((lane) => lane.confirmed > 0 && !lane.isSending);
    return asked.map((lane) => this.#publication(lane, [], 0));
  }

  forgotten(query: Publication, { remembered }: PublishReceipt): Publication[] {
    const { announcer, clock } = this.#parts;
    const lane = this.#laneOf(query.topic);
    const jobs = lane.confirmed - remembered;
    if (jobs <= 0) return [];
    const again = lane.retention.confirmedAfter(remembered, this.#lostAtMs ?? clock.now());
    lane.retention.renew(clock.now());
    this.forgot.times += 1;
    this.forgot.jobs += jobs;
    this.forgot.resent += again.length;
    const { topic } = lane;
    announcer.emit('server-lost-jobs', { topic, jobs, resent: again.length, atMs: clock.now() });
    return inBatches(again).map((batch) => Object.assign({}, query, { jobs: batch }));
  }

  ownPublication(topic: string, jobs: readonly PublishedJob[]): Publication {
    return this.#publication(this.#laneOf(topic), jobs);
  }

  published(publication: Publication, receipt: PublishReceipt): void {
    const { jobs, topic, originEpoch } = publication;
    this.counts.drained += jobs.length;
    this.#drain ??= { sinceMs: this.#drainableMs, jobs: 0 };
    this.#drain.jobs += jobs.length;
    this.counts.alreadyApplied += receipt.alreadyApplied;
    this.#backlogSinceMs = jobs[0]?.enqueuedAtMs;
    if (originEpoch === this.#parts.backlog.epoch) this.#confirm(this.#laneOf(topic), jobs);
  }

  holdBack(isHeld: boolean): void {
    this.#isHeldBack = isHeld;
    if (!isHeld) this.#pumpAll();
  }

  spilling(): Promise<unknown> | undefined {
    return this.#spills.size === 0 ? undefined : Promise.all(this.#spills);
  }

  #laneOf(topic: string): TopicBuffer {
    const known = this.#lanes.get(topic);
    if (known !== undefined) return known;
    const { maxTopics, retainMs } = this.#parts;
    if (this.#lanes.size >= maxTopics) {
      throw new QueueFullError('maxTopics', `${maxTopics} topics (maxTopics) are in use already`);
    }
    const lane = new TopicBuffer(topic, new ResendBuffer(retainMs, this.#budget));
    this.#lanes.set(topic, lane);
    return lane;
  }

  #pumpAll(): void {
    for (const lane of this.#lanes.values()) this.#pump(lane);
  }

  #pump(lane: TopicBuffer): void {
    if (lane.isSpilling || lane.isEmpty) return;
    const { state, failure } = this.machine;
    if (state === 'direct' && !this.#isJournalFirst) return this.#sendWhatWaits(lane);
    if (lane.isSending) return;
    const isHeld =
      state === 'opening' || (state === 'draining' && this.#isHeldBack && !this.#isJournalFirst);
    if (isHeld) return;
    if (state === 'direct') {
      lane.isSpilling = true;
      queueMicrotask(() => this.#spill(lane));
    } else if (state === 'closed') {
      for (const job of lane.takeAll()) {
        job.refused(new QueueClosedError('enqueue', job.wasSent ? 'unknown' : 'not-applied'));
      }
    } else if (failure?.errorClass === 'unsupported') {
      for (const job of lane.takeAll()) job.refused(new ServerUnsupportedError('enqueue', failure));
    } else {
      this.#spill(lane);
    }
  }

  /**
   * A batch is sent when none is in flight, and behind others once it is large enough to be worth its own
   * way: Redis takes one then while the next one is put together.
   */
  #sendWhatWaits(lane: TopicBuffer): void {
    const { acknowledge, topics } = this.#parts;
    // A refusal for want of room would have those behind it refused for what is missing before them; and
    // who waits for replicas waits for all that was written before.
    const isAlone = acknowledge === 'replicated' || topics.get(lane.topic)?.maxJobs !== undefined;
    const most = isAlone ? 1 : MAX_IN_FLIGHT;
    while (!lane.isBroken && lane.inFlight < most && lane.size >= FOLLOWING_JOBS) {
      void this.#send(lane);
    }
    if (lane.isEmpty || lane.isSending || lane.isGathering) return;
    lane.isGathering = true;
    // A turn later, so that what is enqueued together travels together.
    queueMicrotask(() => {
      lane.isGathering = false;
      if (!lane.isSending && this.machine.state === 'direct') void this.#send(lane);
      else this.#pump(lane);
    });
  }

  async #send(lane: TopicBuffer): Promise<void> {
    const { backend, announcer, clock, topics } = this.#parts;
    const batch = lane.take();
    const jobs = batch.map(({ job }) => job);
    const maxJobs = topics.get(lane.topic)?.maxJobs;
    const publication = { ...this.#publication(lane, jobs, lane.sentThrough), maxJobs };
    lane.send(batch);
    try {
      if (batch.length === 0) return;
      const poisoned = new Map<number, string>();
      const receipt = await publishIsolatingPoison(backend, publication, ({ sequence }, reason) => {
        poisoned.set(sequence, reason);
      });
      const room = batch.length - receipt.refused;
      const isSound = ({ job }: PendingJob): boolean => !poisoned.has(job.sequence);
      const taken = batch.slice(0, room);
      const added = poisoned.size === 0 ? taken : taken.filter(isSound);
      this.#confirm(
        lane,
        added.map(({ job }) => job),
      );
      this.counts.acceptedByRedis += added.length;
      const duplicates = new Set(receipt.duplicates);
      for (const pending of added) {
        pending.accepted(backend.kind, duplicates.has(pending.job.id));
      }
      const held = `${lane.topic} holds ${maxJobs} jobs (maxJobs) in Redis already`;
      for (const job of batch.slice(room)) job.refused(new QueueFullError('maxJobs', held));
      for (const pending of batch) {
        const reason = poisoned.get(pending.job.sequence);
        if (reason !== undefined) this.#refusePoison(lane.topic, pending, reason);
      }
    } catch (error) {
      const isNews = lane.isFirstToFail(batch);
      lane.putBack(batch);
      announcer.emit('spilled', { topic: lane.topic, jobs: batch.length, atMs: clock.now() });
      if (isNews) this.linkFailed(failureOf(error));
    } finally {
      lane.arrived(batch);
      this.#pump(lane);
    }
  }

  #refusePoison(topic: string, pending: PendingJob, reason: string): void {
    const { id } = pending.job;
    pending.refused(new PoisonJobError(topic, id, reason));
    this.#tellPoison(topic, id, reason, false);
  }

  #tellPoison(topic: string, id: string, reason: string, kept: boolean): void {
    const { announcer, clock } = this.#parts;
    announcer.emit('poisoned', { topic, id, reason, kept, atMs: clock.now() });
  }

  #publication(
    lane: TopicBuffer,
    jobs: readonly PublishedJob[],
    previous: number = lane.confirmed,
  ): Publication {
    const { backlog, clock, topics } = this.#parts;
    const { id: producer, epoch } = backlog;
    const { topic, confirmed, retention } = lane;
    const oldest = retention.oldest(this.#lostAtMs ?? clock.now());
    const floor = oldest === undefined ? confirmed : oldest - 1;
    const { partitions } = topics.get(topic) ?? {};
    const epochs = { ownerEpoch: epoch, originEpoch: epoch };
    return { topic, producer, ...epochs, floor, previous, partitions, jobs };
  }

  /** Moves what waits in a lane to the fallback, one batch after the other. */
  #spill(lane: TopicBuffer): void {
    const batch = lane.take();
    lane.isSpilling = batch.length > 0;
    if (!lane.isSpilling) return this.#pump(lane);
    const spill = this.#append(batch).finally(() => {
      this.#spills.delete(spill);
      lane.isSpilling = false;
      this.#pump(lane);
    });
    this.#spills.add(spill);
  }

  async #append(batch: readonly PendingJob[]): Promise<void> {
    const { backlog, fallback } = this.#parts;
    try {
      await backlog.append(batch.map(({ job }) => job));
    } catch (error) {
      if (isJournalFull(error) && batch.length > 1) return this.#appendHalves(batch);
      for (const job of batch) job.refused(toEnqueueError(error, job.wasSent));
      return;
    }
    if (backlog.size <= batch.length) this.#backlogSinceMs = batch[0]?.job.enqueuedAtMs;
    this.counts.acceptedByFallback += batch.length;
    for (const job of batch) job.accepted(fallback);
    if (this.#isJournalFirst && this.machine.state === 'direct') this.#recovery.forward();
  }

  /** There may be room for some of them. */
  async #appendHalves(batch: readonly PendingJob[]): Promise<void> {
    const half = Math.ceil(batch.length / 2);
    await this.#append(batch.slice(0, half));
    await this.#append(batch.slice(half));
  }

  #confirm(lane: TopicBuffer, jobs: readonly PublishedJob[]): void {
    this.#lostAtMs = undefined;
    lane.retention.keep(jobs, this.#parts.clock.now());
    lane.confirmed = Math.max(lane.confirmed, jobs.at(-1)?.sequence ?? 0);
  }

  tellProgress(): void {
    this.#progress.notifyAll();
  }
}
