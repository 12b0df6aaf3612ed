import type {
  LinkListener,
  Publication,
  PublishReceipt,
  QueueBackend,
  Subscription,
} from '../backend.ts';
import { type QueueOptions, type QueueTuning, readQueueOptions } from '../options.ts';
import { topicKeys } from './keys.ts';
import { ClusterLinks, type Links, oneLink } from './links.ts';
import { readReceipt } from './replies.ts';
import { routesTo } from './route.ts';
import { runScript } from './script.ts';
import { publishScript } from './scripts.ts';
import { RedisSubscription } from './subscription.ts';

/**
 * Redis as the queue sees it.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createRedisBackend(options: QueueOptions): QueueBackend {
  const { redis, tuning } = readQueueOptions(options);
  const routeTo = routesTo(redis, tuning);
  const links =
    redis.kind === 'cluster' ? new ClusterLinks(routeTo, tuning) : oneLink(routeTo, tuning);
  return new RedisBackend(links, tuning);
}

/** Jobs in Redis Streams, one stream a topic, filled and emptied by small atomic scripts. */
export class RedisBackend implements QueueBackend {
  readonly #links: Links;
  readonly #tuning: QueueTuning;

  constructor(links: Links, tuning: QueueTuning) {
    this.#links = links;
    this.#tuning = tuning;
  }

  open(listener: LinkListener): void {
    this.#links.open(listener);
  }

  whenUp(signal: AbortSignal): Promise<void> {
    return this.#links.whenUp(signal);
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
    const link = this.#links.of(publication.topic);
    return readReceipt(await link.call((client) => runScript(client, publishScript, keys, args)));
  }

  subscribe(topic: string, leaseMs: number): Subscription {
    const keys = topicKeys(this.#tuning.prefix, topic);
    const { fetching, telling } = {
      fetching: this.#links.fetching(topic),
      telling: this.#links.of(topic),
    };
    return new RedisSubscription(fetching, telling, keys, leaseMs);
  }

  async close(): Promise<void> {
    await this.#links.close();
  }
}
