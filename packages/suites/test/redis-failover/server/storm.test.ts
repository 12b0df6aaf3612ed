import { expect } from '@jest/globals';
import { memoryLedger } from '@holdfast/queue';
import { systemClock } from '@holdfast/foundation';
import { Ledger } from '../../../src/ledger.ts';
import { offerLoad } from '../../../src/load.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';
import { openSentinelFixture } from '../../../src/topologies.ts';

const FAMILY = 'redis-failover';
const PRODUCERS = 100;
const CONSUMERS = 20;
const JOBS_A_PRODUCER = 1_000_000;

scenario(
  FAMILY,
  {
    promise: 'a failover under a hundred producers and twenty consumers loses no job',
    fault: `Sentinel: kill -9 of the primary, ${PRODUCERS} producers, ${CONSUMERS} consumers`,
  },
  async (field) => {
    const ledger = new Ledger();
    const shared = memoryLedger();
    const worker = field.queue({ fallback: 'memory' });
    for (let consumer = 0; consumer < CONSUMERS; consumer += 1) {
      worker.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), {
        ledger: shared,
      });
    }
    const producers = Array.from({ length: PRODUCERS }, () => field.queue({ fallback: 'memory' }));
    await Promise.all(producers.map((queue) => queue.ready()));
    const loads = producers.map((queue, index) =>
      offerLoad(queue, ledger, {
        topic: TOPIC,
        jobsPerSecond: 3,
        from: index * JOBS_A_PRODUCER,
      }),
    );
    await ledger.nextDelivery((PRODUCERS - 1) * JOBS_A_PRODUCER);
    const faultAtMs = systemClock.now();
    await field.redis.primary.kill();
    await field.redis.primaryAfter(field.redis.primary);
    const recoveredAtMs = systemClock.now();
    await Promise.all(producers.map((queue) => untilDirect(queue)));
    const results = await Promise.all(loads.map((load) => load.stop()));
    expect(results.flatMap(({ refused }) => refused)).toEqual([]);
    await ledger.settled(60_000);
    await field.untilHandled(TOPIC);
    const { accepted, delivered, lost, duplicated } = ledger.verdict();
    return {
      // Concurrent consumers have no common order.
      verdict: { accepted, delivered, lost, duplicated, outOfOrder: [] },
      lastedMs: recoveredAtMs - faultAtMs,
    };
  },
  openSentinelFixture,
);
