import type {
  DeadLetter,
  ConnectionListener,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  QueueBackend,
  Subscription,
  TopicCounts,
} from '../backend.ts';
import { type QueueOptions, type ResolvedQueueTuning, parseQueueOptions } from '../options.ts';
import { BackendError } from '../errors.ts';
import { encodeBatch } from './scripts/batch-encoding.ts';
import { countScript, peekScript } from './scripts/inspect-scripts.ts';
import { topicKeys } from './keys.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import {
  ClusterConnections,
  type Connections,
  singleConnection,
} from './connection/connections.ts';
import {
  parseReplicaCounts,
  parseCount,
  parseDeadLetters,
  parseReceipt,
  parseCounts,
  parseDelayed,
  parsePeeked,
} from './replies.ts';
import { resolversFor } from './resolver/create-resolver.ts';
import { runScript } from './scripts/script.ts';
import { publishScript, redriveScript } from './scripts/topic-scripts.ts';
import { findTooLarge } from './size-limit.ts';
import { GROUP, RedisSubscription } from './subscription.ts';

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
  return new RedisBackend(connections, tuning);
}

/** Stores jobs in Redis Streams, one stream per topic, with small atomic scripts. */
class RedisBackend implements QueueBackend {
  readonly kind = 'redis';
  readonly #connections: Connections;
  readonly #tuning: ResolvedQueueTuning;

  constructor(connections: Connections, tuning: ResolvedQueueTuning) {
    this.#connections = connections;
    this.#tuning = tuning;
  }

  open(listener: ConnectionListener): void {
    this.#connections.open(listener);
  }

  whenConnected(signal: AbortSignal): Promise<void> {
    return this.#connections.whenConnected(signal);
  }

  async publish(publication: Publication): Promise<PublishReceipt> {
    const { jobs } = publication;
    const tooLarge = await findTooLarge(this.#connections.forTopic(publication.topic), jobs);
    if (tooLarge === undefined) return this.#publish(publication);
    const { index, reason } = tooLarge;
    const receipt = await this.#publish({ ...publication, jobs: jobs.slice(0, index) });
    const sequence = jobs[index]?.sequence ?? 0;
    return { poison: { sequence, reason }, ...receipt };
  }

  async #publish(publication: Publication): Promise<PublishReceipt> {
    const { prefix, markTtlMs, jobIdTtlMs } = this.#tuning;
    const topic = topicKeys(prefix, publication.topic);
    const keys = [topic.stream, topic.mark(publication.producer), topic.delayed];
    const { ownerEpoch, originEpoch, floor, previous } = publication;
    const marks = [ownerEpoch, originEpoch, floor, previous];
    const maxJobs = publication.maxJobs ?? 0;
    const isRouted = publication.jobs.some(({ routing }) => routing !== undefined);
    const partitions = isRouted ? (publication.partitions ?? 0) : -1;
    const batch = encodeBatch(publication.jobs, ({ unique, id }) =>
      unique ? keys.push(topic.id(id)) : 0,
    );
    const args = [...marks, markTtlMs, jobIdTtlMs, maxJobs, partitions, batch];
    const connection = this.#connections.forTopic(publication.topic);
    const reply = await connection.call((client) => runScript(client, publishScript, keys, args));
    if (publication.jobs.length > 0) await this.#waitForReplicas(connection);
    return parseReceipt(reply);
  }

  subscribe(topic: string, leaseMs: number): Subscription {
    const keys = topicKeys(this.#tuning.prefix, topic);
    const commands = this.#connections.forTopic(topic);
    const blocking = this.#connections.createBlocking(topic);
    return new RedisSubscription({ blocking, commands }, keys, { ...this.#tuning, leaseMs });
  }

  async deadLetters(topic: string, limit: number): Promise<DeadLetter[]> {
    const { dead } = topicKeys(this.#tuning.prefix, topic);
    const connection = this.#connections.forTopic(topic);
    return parseDeadLetters(
      await connection.call((client) => client.xrange(dead, '-', '+', 'COUNT', limit)),
    );
  }

  async redrive(topic: string, limit: number, ids: readonly string[] = []): Promise<number> {
    const { stream, dead } = topicKeys(this.#tuning.prefix, topic);
    const connection = this.#connections.forTopic(topic);
    const reply = await connection.call((client) =>
      runScript(client, redriveScript, [stream, dead], [limit, ...ids]),
    );
    return parseCount(reply);
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
    const { stream, delayed } = topicKeys(this.#tuning.prefix, topic);
    const connection = this.#connections.forTopic(topic);
    if (kind === 'delayed') {
      const last = limit - 1;
      return parseDelayed(
        await connection.call((client) => client.zrange(delayed, '0', String(last), 'WITHSCORES')),
      );
    }
    const args = [GROUP, kind, limit];
    return parsePeeked(
      await connection.call((client) => runScript(client, peekScript, [stream], args)),
    );
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
    await this.#connections.close();
  }
}
