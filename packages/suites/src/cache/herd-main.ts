/**
 * One of the processes that ask for one cold key. Its argument is JSON: the Redis, the namespace and how many callers it
 * has. Says `ready`, waits for any message, and answers with the values that its callers got.
 */
import { createTieredCache } from '@holdfast/cache/redis';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { Redis } from 'ioredis';
import { once } from 'node:events';

export interface HerdOptions {
  readonly url: string;
  readonly namespace: string;
  readonly callers: number;
}

const LOAD_MS = 50;

const { url, namespace, callers }: HerdOptions = JSON.parse(process.argv[2] ?? '{}');
const client = new Redis(url);
// A busy machine is no outage.
const cache = createTieredCache<string>({
  redis: { client, namespace, timeoutMs: 10_000, turnMs: 10_000, leaseMs: 10_000 },
});
if (!cache.getStats().redis.isConnected) await nextEvent(cache, 'redis-connected');
const load = async (): Promise<string> => {
  const call = await client.incr(`${namespace}-calls`);
  await sleep(systemClock, LOAD_MS);
  return `value ${call}`;
};
process.send?.('ready');
await once(process, 'message');
const answers = await Promise.all(
  Array.from({ length: callers }, () => cache.getOrLoad('cold', load)),
);
process.send?.([...new Set(answers.map(({ value }) => value))]);
await cache.close();
client.disconnect();
process.disconnect();
