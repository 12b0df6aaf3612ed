import { createHash } from 'node:crypto';
import { InvalidOptionError } from '@holdfast/foundation';
import type { Job, JobType, JobsOptions } from 'bullmq';
import type {
  DeadLetter,
  ConnectionListener,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  PublishedJob,
  QueueBackend,
  RemovalPosition,
  RemovalStep,
  Subscription,
  TopicCounts,
} from '../backend.ts';
import { OPERATIONS } from '../control/operation.ts';
import { type QueueOptions, type ResolvedQueueTuning, parseQueueOptions } from '../options.ts';
import { type Connections, singleConnection } from '../redis/connection/connections.ts';
import { parseTime } from '../redis/replies.ts';
import { resolversFor } from '../redis/resolver/create-resolver.ts';
import { RedisLimitStore } from '../redis/coordination/limit-store.ts';
import { RedisScheduleStore } from '../redis/coordination/schedule-store.ts';
import type { LimitStore } from '../limits/limit-store.ts';
import type { ScheduleStore } from '../schedules/schedule-store.ts';
import { type JobData, counting, deliveriesMade, parseJobData, toJobData } from './job-data.ts';
import { BullmqClients } from './clients.ts';
import { applyOperation, publishWithOperations, removeStep } from './operations.ts';
import { BullmqSubscription } from './subscription.ts';

/** BullMQ delivers lower numbers first, and jobs without a priority before them. */
const PRIORITIES: Readonly<Record<string, number>> = { high: 1, low: 3 };
const NORMAL = 2;

const TYPES: Readonly<Record<PeekedKind, JobType[]>> = {
  waiting: ['prioritized', 'waiting'],
  pending: ['active'],
  delayed: ['delayed'],
};

/**
 * Creates a backend that stores jobs in BullMQ, for services whose workers use BullMQ. It has no high-water marks: a
 * job is added at least once, and exactly once while BullMQ remembers its id, which is `jobIdTtlMs` after it was
 * handled. Lost jobs are not detected, and there is no order by key.
 * @throws InvalidOptionError naming field, value and permitted range; `redis` has to be `{ url }`.
 */
export function createBullmqBackend(options: QueueOptions): QueueBackend {
  const { redis, tuning } = parseQueueOptions(options);
  if (redis.kind !== 'url') {
    const permitted = 'one server by its address: { url }';
    throw new InvalidOptionError('createBullmqBackend', 'redis', redis.kind, permitted);
  }
  const clients = new BullmqClients(redis.url, tuning.prefix);
  return new BullmqBackend(singleConnection(resolversFor(redis, tuning), tuning), clients, tuning);
}

class BullmqBackend implements QueueBackend {
  readonly kind = 'redis';
  readonly operations = OPERATIONS;
  readonly schedules: ScheduleStore;
  readonly limits: LimitStore;
  readonly #connections: Connections;
  readonly #clients: BullmqClients;
  readonly #tuning: ResolvedQueueTuning;

  constructor(connections: Connections, clients: BullmqClients, tuning: ResolvedQueueTuning) {
    this.#connections = connections;
    this.limits = new RedisLimitStore(connections, tuning.prefix);
    this.schedules = new RedisScheduleStore(connections, tuning.prefix);
    this.#clients = clients;
    this.#tuning = tuning;
  }

  open(listener: ConnectionListener): void {
    this.#connections.open({
      ...listener,
      connected: (event) => listener.connected(event),
      attemptFailed: (event) => listener.attemptFailed(event),
      disconnected: (event) => {
        void this.#clients.replace();
        listener.disconnected(event);
      },
    });
  }

  whenConnected(signal: AbortSignal): Promise<void> {
    return this.#connections.whenConnected(signal);
  }

  async publish(publication: Publication): Promise<PublishReceipt> {
    const { jobs, topic } = publication;
    if (jobs.every(({ operation }) => operation === undefined))
      return this.#publishJobs(publication);
    return publishWithOperations(
      publication,
      (part) => this.#publishJobs(part),
      (operation) => this.#call(topic, (queue) => applyOperation(queue, operation)),
    );
  }

  async isPaused(topic: string): Promise<boolean> {
    return this.#call(topic, (queue) => queue.isPaused());
  }

  removeWaiting(
    topic: string,
    delayed: boolean,
    after: RemovalPosition | undefined,
  ): Promise<RemovalStep> {
    return this.#call(topic, (queue) => removeStep(queue, delayed, after));
  }

  async #publishJobs(publication: Publication): Promise<PublishReceipt> {
    const { topic, maxJobs, jobs } = publication;
    const keyed = jobs.findIndex(({ routing = 'high' }) => !(routing in PRIORITIES));
    const sound = keyed < 0 ? jobs : jobs.slice(0, keyed);
    const room = maxJobs === undefined ? sound.length : await this.#room(topic, maxJobs);
    const added = sound.slice(0, room);
    if (added.length > 0) {
      const nowMs = await this.#timeFor(topic, added);
      const bulk = added.map((job) => {
        return {
          name: 'job',
          data: toJobData(job),
          opts: this.#optionsOf(publication, job, nowMs),
        };
      });
      await this.#call(topic, (queue) => queue.addBulk(bulk));
    } else {
      await this.#call(topic, async () => undefined);
    }
    const sequence = jobs[keyed]?.sequence;
    const reason = 'BullMQ keeps no order by key: enqueue the job without a key';
    return {
      // BullMQ cannot tell which jobs it has lost.
      remembered: Number.MAX_SAFE_INTEGER,
      alreadyApplied: 0,
      duplicates: [],
      refused: sound.length - added.length,
      ...(sequence !== undefined && { poison: { sequence, reason } }),
    };
  }

  subscribe(topic: string, leaseMs: number): Subscription {
    const { clock } = this.#tuning;
    const connection = this.#connections.forTopic(topic);
    return new BullmqSubscription({ topic, connection, clients: this.#clients, clock, leaseMs });
  }

  async deadLetters(topic: string, limit: number): Promise<DeadLetter[]> {
    const failed = await this.#failed(topic, limit);
    return failed.map((job) => {
      const { data, failedReason, stacktrace } = job;
      const stack = stacktrace?.at(-1) ?? '';
      const failure = { reason: failedReason, ...(stack !== '' && { stack }) };
      return Object.assign(parseJobData(data), { deliveries: deliveriesMade(job), ...failure });
    });
  }

  async redrive(topic: string, limit: number, ids: readonly string[] = []): Promise<number> {
    const isChosen = ({ data }: Job<JobData>): boolean => ids.length === 0 || ids.includes(data.id);
    const failed = await this.#failed(topic, ids.length === 0 ? limit : -1);
    const chosen = failed.filter(isChosen).slice(0, limit);
    for (const job of chosen) {
      const { history } = parseJobData(job.data);
      await this.#call(topic, async () => {
        // Whoever redrives a job wants it to run, whatever its age.
        const { expiresInMs: _, ...data } = counting(0, job);
        await job.updateData({ ...data, history: [...history, job.failedReason] });
        await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
      });
    }
    return chosen.length;
  }

  async count(topic: string): Promise<TopicCounts> {
    const kinds: JobType[] = ['waiting', 'prioritized', 'active', 'delayed', 'failed'];
    const [counts, isPaused] = await this.#call(topic, (queue) =>
      Promise.all([queue.getJobCounts(...kinds), queue.isPaused()]),
    );
    const { waiting = 0, prioritized = 0, active = 0, delayed = 0, failed = 0 } = counts;
    return {
      waiting: waiting + prioritized,
      pending: active,
      delayed,
      dead: failed,
      ...(isPaused && { paused: true }),
    };
  }

  async peek(topic: string, kind: PeekedKind, limit: number): Promise<PeekedJob[]> {
    const jobs: Job<JobData>[] = await this.#call(topic, (queue) =>
      queue.getJobs(TYPES[kind], 0, limit - 1, true),
    );
    return jobs.slice(0, limit).map((job) => {
      const { history: _, ...data } = parseJobData(job.data);
      const due = kind === 'delayed' ? { dueAtMs: job.timestamp + job.delay } : {};
      const deliveries = deliveriesMade(job) + (kind === 'pending' ? 1 : 0);
      return Object.assign(data, { deliveries }, due);
    });
  }

  async close(): Promise<void> {
    await this.#connections.close();
    await this.#clients.replace();
  }

  /** The time of the server, for delayed jobs: the clock of a producer may be wrong. */
  async #timeFor(topic: string, jobs: readonly PublishedJob[]): Promise<number> {
    if (jobs.every(({ delayMs }) => delayMs === undefined)) {
      return Math.round(this.#tuning.clock.epochMs());
    }
    const reply = await this.#connections.forTopic(topic).call((client) => client.call('TIME'));
    return parseTime(reply);
  }

  #optionsOf(
    { producer, originEpoch, originNonce }: Publication,
    job: PublishedJob,
    timestamp: number,
  ): JobsOptions {
    const { jobIdTtlMs, maxDeadLetters } = this.#tuning;
    const sequence = `${originNonce ?? producer} ${originEpoch} ${job.sequence}`;
    const name = job.unique ? `id ${job.id}` : `sequence ${sequence}`;
    return {
      // BullMQ's ids may not contain colons, nor be numbers.
      jobId: createHash('sha256').update(name).digest('base64url'),
      attempts: 1,
      priority: PRIORITIES[job.routing ?? ''] ?? NORMAL,
      removeOnComplete: { age: Math.ceil(jobIdTtlMs / 1_000) },
      removeOnFail: { count: maxDeadLetters },
      // BullMQ counts the delay from it.
      timestamp,
      ...(job.delayMs !== undefined && { delay: Math.max(0, Math.round(job.delayMs)) }),
    };
  }

  async #room(topic: string, maxJobs: number): Promise<number> {
    const { waiting, pending, delayed } = await this.count(topic);
    return Math.max(0, maxJobs - waiting - pending - delayed);
  }

  #failed(topic: string, limit: number): Promise<Job<JobData>[]> {
    const last = limit < 0 ? limit : limit - 1;
    return this.#call(topic, (queue) => queue.getJobs(['failed'], 0, last, true));
  }

  /** Calls BullMQ within the deadline of a command, and only while our own connection is up. */
  #call<T>(
    topic: string,
    run: (queue: ReturnType<BullmqClients['queue']>) => Promise<T>,
  ): Promise<T> {
    return this.#connections.forTopic(topic).call(() => run(this.#clients.queue(topic)));
  }
}
