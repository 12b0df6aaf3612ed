import { expect } from '@jest/globals';
import { QueueFullError } from '@holdfast/queue';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { PERSISTENT, WRITTEN } from '../../../src/redis-fixture.ts';
import { Ledger } from '../../../src/ledger.ts';
import { offerLoad } from '../../../src/load.ts';
import { TOPIC, runOutage, untilDirect } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';

scenario(
  FAMILY,
  {
    promise: 'jobs offered to a Redis that cannot save its data wait until it can',
    fault: 'MISCONF for 1.5 s (its snapshot cannot be written)',
    // A folder stands where the snapshot would be written to.
    settings: { ...WRITTEN, appenddirname: 'taken', dbfilename: 'taken' },
  },
  (arena) =>
    runOutage(arena, {
      inject: () =>
        arena.admin(async (client) => {
          await client.config('SET', 'save', '1 1');
          await client.bgsave();
        }),
      lastsMs: 1_500,
      recover: () =>
        arena.admin((client) => client.config('SET', 'save', '')).then(() => undefined),
      during: (queue) =>
        expect(queue.health()).toMatchObject({
          level: 'degraded',
          errorClass: 'busy',
          lastError: expect.stringMatching(/MISCONF/u),
          depth: expect.any(Number),
        }),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a Redis wiped under load is given again what it had taken, and nothing is run again',
    fault: 'FLUSHALL under load, within retainMs',
    settings: WRITTEN,
  },
  (arena) =>
    runOutage(arena, {
      inject: () => arena.admin((client) => client.flushall()).then(() => undefined),
      lastsMs: 0,
      recover: () => Promise.resolve(),
      after: (queue) => expect(queue.health().dataLossCount).toBeGreaterThan(0),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a batch cut off amid its bytes is sent again whole',
    fault: 'every connection cut after 20 kB, 1 s long',
    settings: PERSISTENT,
  },
  async (arena) => {
    const proxy = await arena.proxy();
    return runOutage(arena, {
      inject: async (_, queue) => {
        const spilled = nextEvent(queue, 'spilled');
        proxy.faults.set('limitData', { maxBytes: 20_000, direction: 'toServer' });
        await spilled;
      },
      lastsMs: 1_000,
      recover: () => proxy.heal(),
      queue: { redis: { url: `redis://${proxy.host}:${proxy.port}` } },
    });
  },
);

const ROOM = 200;

scenario(
  FAMILY,
  {
    promise: 'what a full journal refuses is refused by its type, and all it accepted is delivered',
    fault: `kill -9, journal full after ${ROOM} jobs, start`,
    settings: WRITTEN,
  },
  async (arena) => {
    const ledger = new Ledger();
    const queue = arena.queue({ directory: await arena.directory(), maxBacklogJobs: ROOM });
    queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
    await queue.ready();
    const load = offerLoad(queue, ledger, { topic: TOPIC, jobsPerSecond: 300 });
    await ledger.nextDelivery(30);
    const detected = nextEvent(queue, 'state');
    const harmedAtMs = systemClock.now();
    await arena.redis.kill();
    const { atMs } = await detected;
    const at = load.next;
    await nextEvent(queue, 'reconnecting', { matches: () => load.next > at + 2 * ROOM });
    expect(queue.health()).toMatchObject({ level: 'critical', depth: ROOM });
    const direct = untilDirect(queue);
    await arena.redis.start();
    const mendedAtMs = systemClock.now();
    await direct;
    const { refused } = await load.stop();
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) {
      expect(error).toBeInstanceOf(QueueFullError);
      expect(error).toMatchObject({ limit: 'fallback', retryAfterMs: expect.any(Number) });
    }
    await ledger.settled(60_000);
    await arena.untilHandled(TOPIC);
    return {
      verdict: ledger.verdict(),
      detectedAfterMs: atMs - harmedAtMs,
      lastedMs: mendedAtMs - harmedAtMs,
      note: `${refused.length} jobs refused`,
    };
  },
);
