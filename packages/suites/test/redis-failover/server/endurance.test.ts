/**
 * It measures time, or what the whole process holds.
 *
 * @alone
 */
import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { AOF_NO_FSYNC, openRedisFixture } from '../../../src/redis-fixture.ts';
import { runSteadyProducer } from '../../../src/child.ts';
import { TOPIC } from '../../../src/outage.ts';

/** The length of the outage in seconds: 3, or the value of the flag. */
const FLAG = process.env['HOLDFAST_OUTAGE_S'];
const OUTAGE_S = Number(FLAG ?? 3);
const JOBS_PER_SECOND = 1_000;
/** The load runs as long before the outage: the memory of a new process grows in any case. */
const BEFORE_S = 3;
const MAX_GROWTH_BYTES = 64 * 2 ** 20;
/** Ten times the value of a quiet machine, without the flag: CI is busy. */
const MAX_LOOP_DELAY_MS = FLAG === undefined ? 200 : 20;
/** Ten times the documented bound, without the flag: CI is busy. */
const MAX_FIRST_EFFECT_MS = FLAG === undefined ? 10_000 : 1_000;
const DRAINED_WITHIN_MS = 600_000;

const inMb = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;

test(
  `${OUTAGE_S} s without Redis under ${JOBS_PER_SECOND} jobs a second keep the memory and the event loop of the producer within bounds, and each job is handled once, in order`,
  async () => {
    const fixture = await openRedisFixture(AOF_NO_FSYNC);
    const { url } = fixture.redis;
    const directory = await fixture.directory();
    const order = { url, directory, topic: TOPIC, jobsPerSecond: JOBS_PER_SECOND };
    const producer = runSteadyProducer(order);
    try {
      const consumer = fixture.queue({ fallback: 'memory' });
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
      await fixture.redis.kill();
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
      await fixture.redis.start();
      const wholeMs = systemClock.now();
      const drained = await producer.ask('direct');
      // Printed without a bound: drained jobs stay in memory for `retainMs`.
      process.stdout.write(`endurance: rss +${inMb(drained.grownBytes)} at most once drained\n`);

      await fixture.untilHandled(TOPIC);
      process.stdout.write(
        `endurance: the first effect of a waiting job ${Math.round(firstMs - wholeMs)} ms after Redis had recovered\n`,
      );
      expect(firstMs - wholeMs).toBeLessThan(MAX_FIRST_EFFECT_MS);
      expect(astray).toEqual([]);
      expect(handled).toBe(accepted.journal + accepted.redis);
    } finally {
      await producer.kill();
      await fixture.close();
    }
  },
  OUTAGE_S * 1_000 + DRAINED_WITHIN_MS,
);
