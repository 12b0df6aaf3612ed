import { join } from 'node:path';
import { createResourceFaults } from '@holdfast/faults';
import { systemClock } from '@holdfast/foundation';
import { AOF_NO_FSYNC } from '../../../src/redis-fixture.ts';
import type { ProducerOptions } from '../../../src/child.ts';
import { waitUntil } from '../../../src/wait-until.ts';
import { Ledger } from '../../../src/ledger.ts';
import { TOPIC } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';
const HOUR_MS = 3_600_000;
const LONG_MS = 600_000;
const MODULE = join(import.meta.dirname, '../../../src/producer-main.ts');

scenario(
  FAMILY,
  {
    promise:
      'a jump of the producer’s wall clock loses no job, duplicates none and keeps their order',
    fault:
      'kill -9; the producer’s clock an hour ahead, then an hour behind; start; the clock corrected',
    settings: AOF_NO_FSYNC,
  },
  async (fixture) => {
    const ledger = new Ledger();
    const order: ProducerOptions = {
      url: fixture.redis.url,
      directory: await fixture.directory(),
      topic: TOPIC,
      pauseMs: 2,
    };
    const worker = fixture.queue({ fallback: 'memory' });
    worker.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
    const producer = createResourceFaults({ module: MODULE, args: [JSON.stringify(order)] });
    let last = { job: 0, accepted: '' };
    producer.child.on('message', (message: { job?: number; accepted?: string }) => {
      if (message.job === undefined || message.accepted === undefined) return;
      last = { job: message.job, accepted: message.accepted };
      ledger.accepted(last.job, last.accepted);
    });
    const jobsMore = (count: number, store: string): Promise<void> => {
      const from = last.job;
      return waitUntil(async () => last.accepted === store && last.job >= from + count);
    };
    try {
      await jobsMore(30, 'redis');
      await producer.faults.set('clock', { stepMs: HOUR_MS, forMs: LONG_MS });
      await jobsMore(30, 'redis');
      const faultAtMs = systemClock.now();
      await fixture.redis.kill();
      await jobsMore(30, 'journal');
      await producer.faults.set('clock', { stepMs: -HOUR_MS, forMs: LONG_MS });
      await jobsMore(30, 'journal');
      await fixture.redis.start();
      const recoveredAtMs = systemClock.now();
      await jobsMore(30, 'redis');
      await producer.faults.clear('clock');
      await jobsMore(30, 'redis');
      await producer.close();
      await ledger.settled(60_000);
      await fixture.untilHandled(TOPIC);
      return { verdict: ledger.verdict(), lastedMs: recoveredAtMs - faultAtMs };
    } finally {
      await producer.close();
    }
  },
);
