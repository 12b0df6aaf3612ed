/**
 * A cold key beside bentocache, on one Redis: how often the source is called by 10,000 callers in one process, and by 250 in
 * each of four caches. Exits with 1 when it is more than once.
 */
import { createTieredCache } from '@holdfast/cache/redis';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { openStage } from '@holdfast/stage';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisDriver } from 'bentocache/drivers/redis';
import { Redis } from 'ioredis';

const LOAD_MS = 50;
const FLEET = 4;

interface OpenCache {
  readonly ask: (key: string, load: () => Promise<string>) => Promise<unknown>;
  readonly close: () => Promise<unknown>;
}

interface Peer {
  readonly name: string;
  readonly open: () => Promise<OpenCache>;
}

const stage = await openStage({ redis: true });
const { url, host, port } = stage.redis;

const peers: readonly Peer[] = [
  {
    name: 'ours',
    open: async () => {
      const client = new Redis(url, { lazyConnect: true });
      // A busy machine is no outage.
      const redis = { client, namespace: 'bench', timeoutMs: 10_000 };
      const cache = createTieredCache<string>({ redis });
      if (!cache.getStats().redis.isConnected) await nextEvent(cache, 'redis-connected');
      return {
        ask: (key, load) => cache.getOrLoad(key, load),
        close: () => cache.close(),
      };
    },
  },
  {
    name: 'bentocache',
    open: async () => {
      const store = bentostore()
        .useL1Layer(memoryDriver({ maxItems: 10_000 }))
        .useL2Layer(redisDriver({ connection: { host, port } }));
      const cache = new BentoCache({ default: 'store', stores: { store } });
      return {
        ask: (key, load) => cache.getOrSet({ key, factory: load, ttl: 60_000 }),
        close: () => cache.disconnectAll(),
      };
    },
  },
];

let isOver = false;
process.stdout.write('| calls of the source for a cold key | in one cache | in four caches |\n');
process.stdout.write('|---|---:|---:|\n');
for (const { name, open } of peers) {
  const caches = await Promise.all(Array.from({ length: FLEET }, () => open()));
  const callsOf = async (key: string, asked: typeof caches, callers: number): Promise<number> => {
    let calls = 0;
    const load = async (): Promise<string> => {
      calls += 1;
      await sleep(systemClock, LOAD_MS);
      return key;
    };
    await Promise.all(
      asked.flatMap(({ ask }) => Array.from({ length: callers }, () => ask(key, load))),
    );
    return calls;
  };
  const inOne = await callsOf(`${name}-one`, caches.slice(0, 1), 10_000);
  const inFleet = await callsOf(`${name}-fleet`, caches, 250);
  process.stdout.write(`| ${name} | ${inOne} | ${inFleet} |\n`);
  isOver ||= name === 'ours' && (inOne > 1 || inFleet > 1);
  await Promise.all(caches.map(({ close }) => close()));
}
await stage.close();
if (isOver) {
  process.stderr.write('over its bar\n');
  process.exitCode = 1;
}
