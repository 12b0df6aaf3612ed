import { expect, test } from '@jest/globals';
import type { QueueEvents } from '@holdfast/queue';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { AOF_ALWAYS, openRedisFixture } from '../../../src/redis-fixture.ts';
import { runFlapping } from '../../../src/flapping.ts';
import { Ledger } from '../../../src/ledger.ts';
import { offerLoad } from '../../../src/load.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';
const ATTEMPTS = 8;
/** Delays double from 25 ms to 500 ms, with a jitter of a quarter. */
const NOMINAL_MS = [25, 50, 100, 200, 400, 500, 500, 500];
const SPREAD = 0.25;

test('attempts to reach a killed Redis are spaced by an exponential backoff with a ceiling', async () => {
  const fixture = await openRedisFixture({});
  try {
    const queue = fixture.queue({ fallback: 'memory' });
    await queue.ready();
    const attempts: QueueEvents['reconnecting'][] = [];
    queue.on('reconnecting', (event) => attempts.push(event));
    await fixture.redis.kill();
    await nextEvent(queue, 'reconnecting', { matches: ({ attempt }) => attempt === ATTEMPTS });
    expect(attempts.map(({ attempt }) => attempt)).toEqual(NOMINAL_MS.map((_, index) => index + 1));
    for (const [index, { delayMs, atMs, errorClass }] of attempts.entries()) {
      const nominalMs = NOMINAL_MS[index] ?? 0;
      expect(errorClass).toBe('unreachable');
      expect(delayMs).toBeGreaterThanOrEqual(Math.floor(nominalMs * (1 - SPREAD)));
      expect(delayMs).toBeLessThanOrEqual(Math.min(500, Math.ceil(nominalMs * (1 + SPREAD))));
      const nextAtMs = attempts[index + 1]?.atMs ?? Infinity;
      expect(nextAtMs - atMs).toBeGreaterThanOrEqual(delayMs - 1);
    }
    const back = nextEvent(queue, 'connected');
    await fixture.redis.start();
    await expect(back).resolves.toMatchObject({ attempt: expect.any(Number) });
    const again = nextEvent(queue, 'reconnecting');
    await fixture.redis.kill();
    await expect(again).resolves.toMatchObject({ attempt: 1 });
  } finally {
    await fixture.close();
  }
});

scenario(
  FAMILY,
  {
    promise: 'jobs offered before the first start of Redis are accepted, and delivered after it',
    fault: 'down at the start, for 1.5 s',
    settings: AOF_ALWAYS,
  },
  async (fixture) => {
    const ledger = new Ledger();
    await fixture.redis.kill();
    const startedAtMs = systemClock.now();
    const queue = fixture.queue({ directory: await fixture.directory() });
    queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
    const detected = nextEvent(queue, 'state');
    const load = offerLoad(queue, ledger, { topic: TOPIC, jobsPerSecond: 300 });
    const { atMs } = await detected;
    await nextEvent(queue, 'reconnecting', { matches: (event) => event.atMs - atMs > 1_500 });
    const handled = ledger.nextDelivery();
    const direct = untilDirect(queue);
    await fixture.redis.start();
    const recoveredAtMs = systemClock.now();
    const handledAtMs = await handled;
    await direct;
    const { refused } = await load.stop();
    expect(refused).toEqual([]);
    await ledger.settled(60_000);
    await fixture.untilHandled(TOPIC);
    return {
      verdict: ledger.verdict(),
      detectedAfterMs: atMs - startedAtMs,
      recoveredAfterMs: Math.max(0, handledAtMs - recoveredAtMs),
    };
  },
);

const KILLS = 10;

scenario(
  FAMILY,
  {
    promise: 'a flapping Redis loses no job, duplicates none and keeps their order',
    fault: '10 x kill -9 and start under load; appendonly, sync always',
    settings: AOF_ALWAYS,
  },
  async (fixture) => {
    const { ledger, recoveredAfterMs } = await runFlapping(fixture, KILLS);
    return { verdict: ledger.verdict(), recoveredAfterMs };
  },
);
