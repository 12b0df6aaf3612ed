import { expect } from '@jest/globals';
import { QueueFullError } from '@holdfast/queue';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { AOF_ALWAYS, AOF_NO_FSYNC } from '../../../src/redis-fixture.ts';
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
    // A folder occupies the path of the snapshot file.
    settings: { ...AOF_NO_FSYNC, appenddirname: 'taken', dbfilename: 'taken' },
  },
  (fixture) =>
    runOutage(fixture, {
      inject: () =>
        fixture.admin(async (client) => {
          await client.config('SET', 'save', '1 1');
          await client.bgsave();
        }),
      lastsMs: 1_500,
      recover: () =>
        fixture.admin((client) => client.config('SET', 'save', '')).then(() => undefined),
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
    promise: 'jobs that FLUSHALL removes under load are sent again, and no handled job runs again',
    fault: 'FLUSHALL under load, within retainMs',
    settings: AOF_NO_FSYNC,
  },
  (fixture) =>
    runOutage(fixture, {
      inject: () => fixture.admin((client) => client.flushall()).then(() => undefined),
      lastsMs: 0,
      recover: () => Promise.resolve(),
      after: (queue) => expect(queue.health().dataLossCount).toBeGreaterThan(0),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a batch cut off in the middle of its bytes is sent again completely',
    fault: 'every connection cut after 20 kB, for 1 s',
    settings: AOF_ALWAYS,
  },
  async (fixture) => {
    const proxy = await fixture.proxy();
    return runOutage(fixture, {
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
    promise: 'a full journal rejects jobs with a typed error, and every accepted job is delivered',
    fault: `kill -9, journal full after ${ROOM} jobs, start`,
    settings: AOF_NO_FSYNC,
  },
  async (fixture) => {
    const ledger = new Ledger();
    const queue = fixture.queue({ directory: await fixture.directory(), maxBacklogJobs: ROOM });
    queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
    await queue.ready();
    const load = offerLoad(queue, ledger, { topic: TOPIC, jobsPerSecond: 300 });
    await ledger.nextDelivery(30);
    const detected = nextEvent(queue, 'state');
    const faultAtMs = systemClock.now();
    await fixture.redis.kill();
    const { atMs } = await detected;
    const at = load.next;
    await nextEvent(queue, 'reconnecting', { matches: () => load.next > at + 2 * ROOM });
    expect(queue.health()).toMatchObject({ level: 'critical', depth: ROOM });
    const direct = untilDirect(queue);
    await fixture.redis.start();
    const recoveredAtMs = systemClock.now();
    await direct;
    const { refused } = await load.stop();
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) {
      expect(error).toBeInstanceOf(QueueFullError);
      expect(error).toMatchObject({ limit: 'fallback', retryAfterMs: expect.any(Number) });
    }
    await ledger.settled(60_000);
    await fixture.untilHandled(TOPIC);
    return {
      verdict: ledger.verdict(),
      detectedAfterMs: atMs - faultAtMs,
      lastedMs: recoveredAtMs - faultAtMs,
      note: `${refused.length} jobs refused`,
    };
  },
);
