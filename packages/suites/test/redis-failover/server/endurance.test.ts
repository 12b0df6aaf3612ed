import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { WRITTEN, openRedisFixture } from '../../../src/redis-fixture.ts';
import { runSteadyProducer } from '../../../src/child.ts';
import { TOPIC } from '../../../src/outage.ts';

/** Three seconds, or as many as the flag says: 300 are five minutes. */
const FLAG = process.env['HOLDFAST_OUTAGE_S'];
const OUTAGE_S = Number(FLAG ?? 3);
const JOBS_PER_SECOND = 1_000;
/** As long under the same load before Redis goes: a process that has only just started grows by itself. */
const BEFORE_S = 3;
const MAX_GROWTH_BYTES = 64 * 2 ** 20;
/** In passing ten times what a quiet machine shows: CI is not one. */
const MAX_LOOP_DELAY_MS = FLAG === undefined ? 200 : 20;
/** In passing ten times the promise: CI is not a quiet machine. */
const MAX_FIRST_EFFECT_MS = FLAG === undefined ? 10_000 : 1_000;
const DRAINED_WITHIN_MS = 600_000;

const inMb = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;

test(
  `${OUTAGE_S} s without Redis under ${JOBS_PER_SECOND} jobs a second cost the producer neither its memory nor its event loop, and each job is handled once, in order`,
  async () => {
    const arena = await openRedisFixture(WRITTEN);
    const { url } = arena.redis;
    const directory = await arena.directory();
    const order = { url, directory, topic: TOPIC, jobsPerSecond: JOBS_PER_SECOND };
    const producer = runSteadyProducer(order);
    try {
      const consumer = arena.queue({ fallback: 'memory' });
      let handled = 0;
      let takenByRedis = Infinity;
      let firstMs = Infinity;
      const astray: unknown[] = [];
      consumer.process(
        TOPIC,
        ({ payload }) => {
          if (payload === handled + 1) handled += 1;
          else astray.push(payload);
          if (handled > takenByRedis) firstMs = Math.min(firstMs, systemClock.now());
        },
        { concurrency: 1 },
      );
      await producer.ask('mark');
      await sleep(systemClock, BEFORE_S * 1_000);
      await producer.ask('mark');
      await arena.redis.kill();
      await sleep(systemClock, OUTAGE_S * 1_000);
      const { accepted, refused, depth, grownBytes, loopDelayP99Ms } = await producer.ask('stop');
      process.stdout.write(
        `endurance: ${depth} jobs, rss +${inMb(grownBytes)} at most, loop delay p99 ${loopDelayP99Ms.toFixed(1)} ms\n`,
      );
      expect(refused).toEqual([]);
      expect(depth).toBe(accepted.journal);
      expect(depth).toBeGreaterThan((OUTAGE_S * JOBS_PER_SECOND) / 2);
      expect(grownBytes).toBeLessThan(MAX_GROWTH_BYTES);
      expect(loopDelayP99Ms).toBeLessThan(MAX_LOOP_DELAY_MS);

      takenByRedis = accepted.redis;
      await arena.redis.start();
      const wholeMs = systemClock.now();
      const drained = await producer.ask('direct');
      // Shown, and held to no bar: what was drained is retained in memory for `retainMs`.
      process.stdout.write(`endurance: rss +${inMb(drained.grownBytes)} at most once drained\n`);

      await arena.untilHandled(TOPIC);
      process.stdout.write(
        `endurance: the first effect of what waited ${Math.round(firstMs - wholeMs)} ms after Redis was whole\n`,
      );
      expect(firstMs - wholeMs).toBeLessThan(MAX_FIRST_EFFECT_MS);
      expect(astray).toEqual([]);
      expect(handled).toBe(accepted.journal + accepted.redis);
    } finally {
      await producer.kill();
      await arena.close();
    }
  },
  OUTAGE_S * 1_000 + DRAINED_WITHIN_MS,
);
