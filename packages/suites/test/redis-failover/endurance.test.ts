import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/resilience';
import { WRITTEN, openArena } from '../../src/arena.ts';
import { untilTrue } from '../../src/field.ts';
import { Ledger } from '../../src/ledger.ts';
import { offerLoad } from '../../src/load.ts';
import { TOPIC, untilDirect } from '../../src/outage.ts';

/** Three seconds, or as many as the flag says: 300 are five minutes. */
const OUTAGE_S = Number(process.env['HOLDFAST_OUTAGE_S'] ?? 3);
const JOBS_PER_SECOND = 1_000;
const MAX_GROWTH_BYTES = 64 * 2 ** 20;
/** Ten times what a quiet machine shows: CI is not one. */
const MAX_LOOP_DELAY_MS = 200;
const DRAINED_WITHIN_MS = 600_000;

test(
  `${OUTAGE_S} s without Redis under ${JOBS_PER_SECOND} jobs a second cost the producer neither its memory nor its event loop`,
  async () => {
    const arena = await openArena(WRITTEN);
    try {
      const queue = arena.queue({ directory: await arena.directory() });
      await queue.ready();
      await arena.redis.kill();
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      const before = process.memoryUsage.rss();
      const ledger = new Ledger();
      const load = offerLoad(queue, ledger, { topic: TOPIC, jobsPerSecond: JOBS_PER_SECOND });
      await sleep(systemClock, OUTAGE_S * 1_000);
      const { refused } = await load.stop();
      delay.disable();
      const grownBytes = process.memoryUsage.rss() - before;
      const p99Ms = delay.percentile(99) / 1e6 - 5;
      const { depth } = queue.health();
      process.stdout.write(
        `endurance: ${depth} jobs, rss +${Math.round(grownBytes / 2 ** 20)} MB, loop delay p99 ${p99Ms.toFixed(1)} ms\n`,
      );
      expect(refused).toEqual([]);
      expect(depth).toBe(ledger.acceptedJobs().length);
      expect(grownBytes).toBeLessThan(MAX_GROWTH_BYTES);
      expect(p99Ms).toBeLessThan(MAX_LOOP_DELAY_MS);
      const direct = untilDirect(queue);
      await arena.redis.start();
      await direct;
      await arena.admin((client) =>
        untilTrue(async () => (await client.xlen(`holdfast:{${TOPIC}}:jobs`)) === depth),
      );
    } finally {
      await arena.close();
    }
  },
  OUTAGE_S * 1_000 + DRAINED_WITHIN_MS,
);
