import type {
  LinkListener,
  Publication,
  PublishReceipt,
  QueueBackend,
  Subscription,
} from '../backend.ts';
import { type QueueOptions, type QueueTuning, readQueueOptions } from '../options.ts';
import { type RedisConnector, connectorOf } from './connector.ts';
import { topicKeys } from './keys.ts';
import { RedisLink } from './link.ts';
import { readReceipt } from './replies.ts';
import { runScript } from './script.ts';
import { publishScript } from './scripts.ts';
import { RedisSubscription } from './subscription.ts';

/**
 * Redis as the queue sees it.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createRedisBackend(options: QueueOptions): QueueBackend {
  const { redis, tuning } = readQueueOptions(options);
  return new RedisBackend(connectorOf(redis), tuning);
}

/** Jobs in Redis Streams, one stream a topic, filled and emptied by small atomic scripts. */
export class RedisBackend implements QueueBackend {
  readonly #connector: RedisConnector;
  readonly #tuning: QueueTuning;
  readonly #link: RedisLink;

  constructor(connector: RedisConnector, tuning: QueueTuning) {
    this.#connector = connector;
    this.#tuning = tuning;
    this.#link = this.#newLink();
  }

  open(listener: LinkListener): void {
    this.#link.open(listener);
  }

  whenUp(signal: AbortSignal): Promise<void> {
    return this.#link.whenUp(signal);
  }

  async publish(publication: Publication): Promise<PublishReceipt> {
    const { prefix, markTtlMs, jobIdTtlMs } = this.#tuning;
    const topic = topicKeys(prefix, publication.topic);
    const keys = [topic.stream, topic.mark(publication.producer)];
    const { ownerEpoch, originEpoch, floor, previous } = publication;
    const marks = [ownerEpoch, originEpoch, floor, previous];
    const args: (string | number)[] = [...marks, markTtlMs, jobIdTtlMs];
    for (const job of publication.jobs) {
      const keyIndex = job.unique ? keys.push(topic.id(job.id)) : 0;
      args.push(job.sequence, job.id, job.enqueuedAtMs, job.payload, keyIndex);
    }
    return readReceipt(
      await this.#link.call((client) => runScript(client, publishScript, keys, args)),
    );
  }

  subscribe(topic: string, leaseMs: number): Subscription {
    const keys = topicKeys(this.#tuning.prefix, topic);
    return new RedisSubscription(this.#newLink(), this.#link, keys, leaseMs);
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  #newLink(): RedisLink {
    return new RedisLink({ ...this.#tuning, connector: this.#connector });
  }
}
