import type {
  BackendFailure,
  DeadLetter,
  ConnectionListener,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  QueueBackend,
  RemovalPosition,
  RemovalStep,
  Subscription,
  TopicCounts,
} from '../backend.ts';
import { type QueueOptions, type ResolvedQueueTuning, parseQueueOptions } from '../options.ts';
import { OPERATIONS, isOnJob } from '../control/operation.ts';
import { BackendError } from '../errors.ts';
import { encodeWindows } from './scripts/debounce-script.ts';
import { encodeBatch } from './scripts/batch-encoding.ts';
import { countScript } from './scripts/inspect-scripts.ts';
import { listDeadLetters, listJobs, redriveDeadLetters } from './administration.ts';
import { GROUP, type TopicKeys, topicKeys } from './keys.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import {
  ClusterConnections,
  type Connections,
  singleConnection,
} from './connection/connections.ts';
import { parseReplicaCounts, parseReceipt, parseCounts } from './replies.ts';
import { EvictionWatch } from './eviction.ts';
import { RedisOutcomes } from './outcomes.ts';
import { identityOf } from './identity.ts';
import { findJob, publishOperations, removeStep } from './operations.ts';
import type { LimitStore } from '../limits/limit-store.ts';
import type { ScheduleStore } from '../schedules/schedule-store.ts';
import { resolversFor } from './resolver/create-resolver.ts';
import { runScript } from './scripts/script.ts';
import { forgetScript, publishScript } from './scripts/topic-scripts.ts';
import { RedisLimitStore } from './coordination/limit-store.ts';
import { RedisScheduleStore } from './coordination/schedule-store.ts';
import { findTooLarge } from './size-limit.ts';
import { RedisSubscription } from './subscription/subscription.ts';

/**
 * Creates the backend that stores jobs in Redis.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createRedisBackend(options: QueueOptions): QueueBackend {
  const { redis, tuning } = parseQueueOptions(options);
  const createResolver = resolversFor(redis, tuning);
  const connections =
    redis.kind === 'cluster'
      ? new ClusterConnections(createResolver, tuning)
      : singleConnection(createResolver, tuning);
  const backend = new RedisBackend(connections, tuning, identityOf(redis, tuning.prefix));
  // In a cluster, the connections of the topics are watched once there are some.
  if (redis.kind !== 'cluster') backend.watch(connections.forTopic(''));
  return backend;
}

/** Stores jobs in Redis Streams, one stream per topic, with small atomic scripts. */
class RedisBackend implements QueueBackend {
  readonly kind = 'redis';
  readonly outcomes: RedisOutcomes;
  readonly operations = OPERATIONS;
  readonly debounces = true;
  readonly schedules: ScheduleStore;
  readonly limits: LimitStore;
  readonly #connections: Connections;
  readonly #tuning: ResolvedQueueTuning;
  readonly #eviction: EvictionWatch;
  /** The marks that have no time to live, because the server evicts keys that have one. */
  readonly #lasting = new Map<string, ManagedConnection>();
  #listener: ConnectionListener | undefined;
  readonly identity: string;

  constructor(connections: Connections, tuning: ResolvedQueueTuning, identity: string) {
    this.identity = identity;
    this.#connections = connections;
    this.limits = new RedisLimitStore(connections, tuning.prefix);
    this.schedules = new RedisScheduleStore(connections, tuning.prefix);
    this.#tuning = tuning;
    this.outcomes = new RedisOutcomes(connections, tuning);
    this.#eviction = new EvictionWatch(tuning.clock, (policy) =>
      this.#listener?.evictionPolicy?.({ policy }),
    );
  }

  open(listener: ConnectionListener): void {
    this.#listener = listener;
    this.#connections.open({
      connected: (event) => {
        listener.connected(event);
        this.#eviction.lookAgain();
      },
      attemptFailed: (event) => listener.attemptFailed(event),
      disconnected: (event) => listener.disconnected(event),
    });
  }

  /** Reads the eviction policy of its server once it is connected. */
  watch(connection: ManagedConnection): void {
    this.#eviction.look(connection);
  }

  whenConnected(signal: AbortSignal): Promise<void> {
    return this.#connections.whenConnected(signal);
  }

  async publish(publication: Publication): Promise<PublishReceipt> {
    const { jobs, topic } = publication;
    if (!jobs.some(({ operation }) => isOnJob(operation))) return this.#publishJobs(publication);
    return publishOperations(
      publication,
      (part) => this.#publishJobs(part),
      (id) => findJob(this.#connections.forTopic(topic), this.#keys(topic), id),
    );
  }

  async #publishJobs(publication: Publication): Promise<PublishReceipt> {
    const { jobs } = publication;
    const tooLarge = await findTooLarge(this.#connections.forTopic(publication.topic), jobs);
    if (tooLarge === undefined) return this.#publish(publication);
    const { index, reason } = tooLarge;
    const receipt = await this.#publish({ ...publication, jobs: jobs.slice(0, index) });
    const sequence = jobs[index]?.sequence ?? 0;
    return { poison: { sequence, reason }, ...receipt };
  }

  async #publish(publication: Publication): Promise<PublishReceipt> {
    const { prefix, jobIdTtlMs } = this.#tuning;
    const topic = topicKeys(prefix, publication.topic);
    const { producer, ownerEpoch, ownerNonce = '', originEpoch, floor, previous } = publication;
    const mark = topic.mark(publication.originNonce ?? producer);
    const keys = [topic.stream, mark, topic.delayed, topic.mark(producer)];
    const marks = [ownerEpoch, originEpoch, floor, previous];
    const maxJobs = publication.maxJobs ?? 0;
    const isRouted = publication.jobs.some(({ routing }) => routing !== undefined);
    const partitions = isRouted ? (publication.partitions ?? 0) : -1;
    const batch = encodeBatch(publication.jobs, ({ unique, id, debounce }) => {
      if (debounce !== undefined) return keys.push(topic.window(debounce.key));
      return unique ? keys.push(topic.id(id)) : 0;
    });
    const windows = encodeWindows(publication.jobs, jobIdTtlMs);
    const connection = this.#connections.forTopic(publication.topic);
    const ttlMs = this.#markTtlMs(publication, [mark, topic.mark(producer)], connection);
    const args = [...marks, ttlMs, jobIdTtlMs, maxJobs, partitions, batch, ownerNonce, windows];
    const reply = await connection.call((client) => runScript(client, publishScript, keys, args));
    if (publication.jobs.length > 0) await this.#waitForReplicas(connection);
    return parseReceipt(reply);
  }

  /**
   * How long the marks of a publication live without another one. With a `volatile-*` policy, Redis evicts only keys
   * that have a time to live: the marks of this process then get one when it closes.
   * @returns milliseconds; 0 for no limit.
   */
  #markTtlMs(
    { originNonce, ownerNonce }: Publication,
    marks: readonly string[],
    connection: ManagedConnection,
  ): number {
    this.#eviction.look(connection);
    const isVolatile = this.#eviction.policyOf(connection).startsWith('volatile-');
    if (!isVolatile || originNonce === undefined || originNonce !== ownerNonce) {
      return this.#tuning.markTtlMs;
    }
    for (const mark of marks) this.#lasting.set(mark, connection);
    return 0;
  }

  subscribe(
    topic: string,
    leaseMs: number,
    onFailure: (failure: BackendFailure) => void = () => undefined,
  ): Subscription {
    const keys = this.#keys(topic);
    const commands = this.#connections.forTopic(topic);
    const blocking = this.#connections.createBlocking(topic);
    const options = { ...this.#tuning, leaseMs, onFailure };
    return new RedisSubscription({ blocking, commands }, keys, options);
  }

  forgetTopic(topic: string): void {
    const { stream, delayed } = this.#keys(topic);
    const connection = this.#connections.forTopic(topic);
    // Best effort: whatever stays costs a little memory only.
    connection
      .call((client) => runScript(client, forgetScript, [stream, delayed], [GROUP]))
      .catch(() => undefined);
    const ofTopic = this.#keys(topic).mark('');
    for (const [mark, via] of this.#lasting) {
      if (!mark.startsWith(ofTopic)) continue;
      this.#lasting.delete(mark);
      via
        .call((client) => client.call('PEXPIRE', mark, this.#tuning.markTtlMs))
        .catch(() => undefined);
    }
  }

  async deadLetters(topic: string, limit: number): Promise<DeadLetter[]> {
    return listDeadLetters(this.#connections.forTopic(topic), this.#keys(topic), limit);
  }

  async redrive(topic: string, limit: number, ids: readonly string[] = []): Promise<number> {
    return redriveDeadLetters(this.#connections.forTopic(topic), this.#keys(topic), limit, ids);
  }

  async count(topic: string): Promise<TopicCounts> {
    const { stream, delayed, dead } = topicKeys(this.#tuning.prefix, topic);
    const connection = this.#connections.forTopic(topic);
    const keys = [stream, delayed, dead];
    return parseCounts(
      await connection.call((client) => runScript(client, countScript, keys, [GROUP])),
    );
  }

  async peek(topic: string, kind: PeekedKind, limit: number): Promise<PeekedJob[]> {
    return listJobs(this.#connections.forTopic(topic), this.#keys(topic), kind, limit);
  }

  async isPaused(topic: string): Promise<boolean> {
    const layout = `${this.#keys(topic).stream}:layout`;
    const connection = this.#connections.forTopic(topic);
    return (await connection.call((client) => client.call('HEXISTS', layout, 'paused'))) === 1;
  }

  async removeWaiting(
    topic: string,
    delayed: boolean,
    after: RemovalPosition | undefined,
  ): Promise<RemovalStep> {
    return removeStep(this.#connections.forTopic(topic), this.#keys(topic), delayed, after);
  }

  #keys(topic: string): TopicKeys {
    return topicKeys(this.#tuning.prefix, topic);
  }

  /**
   * With `acknowledge: 'replicated'`, waits until enough replicas have everything written on this connection.
   * @throws BackendError (`busy`) when they do not have it within `commandTimeoutMs`
   */
  async #waitForReplicas(connection: ManagedConnection): Promise<void> {
    const { acknowledge, replicas, onDisk, commandTimeoutMs } = this.#tuning;
    if (acknowledge !== 'replicated') return;
    const reply = await connection.call(
      (client) =>
        onDisk
          ? client.call('WAITAOF', 1, replicas, commandTimeoutMs)
          : client.call('WAIT', replicas, commandTimeoutMs),
      commandTimeoutMs,
    );
    const { disks, copies } = parseReplicaCounts(reply);
    if (copies >= replicas && (!onDisk || disks > 0)) return;
    const wanted = onDisk ? `its disk and those of ${replicas} replicas` : `${replicas} replicas`;
    throw new BackendError(
      'busy',
      `Redis: of ${wanted}, only ${onDisk ? `${disks} and ` : ''}${copies} had the jobs within ${commandTimeoutMs} ms`,
    );
  }

  async close(): Promise<void> {
    const { markTtlMs } = this.#tuning;
    const limiting = [...this.#lasting].flatMap(([mark, connection]) =>
      connection.isConnected
        ? [connection.call((client) => client.call('PEXPIRE', mark, markTtlMs))]
        : [],
    );
    await Promise.allSettled(limiting);
    await this.#connections.close();
  }
}
