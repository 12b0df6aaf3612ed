import { nextEvent, systemClock } from '@holdfast/foundation';
import { AOF_NO_FSYNC } from '../../../src/redis-fixture.ts';
import { Ledger } from '../../../src/ledger.ts';
import { untilDirect } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';
const TOPIC = 'keyed';
const KEYS = 6;
const JOBS_A_KEY = 60;
const topics = { [TOPIC]: { partitions: 4 } };

scenario(
  FAMILY,
  {
    promise: 'several consumers handle the jobs of a key once and in order through an outage',
    fault: `kill -9 under load on ${KEYS} keys in 4 partitions, start after 1 s; two consumers`,
    settings: AOF_NO_FSYNC,
  },
  async (fixture) => {
    const ledgers = Array.from({ length: KEYS }, () => new Ledger());
    const queue = fixture.queue({ directory: await fixture.directory(), topics });
    await queue.ready();
    for (let consumer = 0; consumer < 2; consumer += 1) {
      const worker = fixture.queue({ fallback: 'memory' });
      worker.process(TOPIC, async ({ payload }) => {
        const { key, job } = Object(payload);
        // Long enough for another job to overtake it, if that were possible.
        await new Promise((resolve) => setImmediate(resolve));
        ledgers[key]?.delivered(job);
      });
    }
    const enqueue = async (from: number, to: number): Promise<void> => {
      for (let job = from; job <= to; job += 1) {
        const round = ledgers.map(async (ledger, key) => {
          const { accepted } = await queue.enqueue(TOPIC, { key, job }, { key: `key-${key}` });
          ledger.accepted(job, accepted);
        });
        await Promise.all(round);
      }
    };
    await enqueue(1, JOBS_A_KEY / 3);
    const detected = nextEvent(queue, 'state');
    const faultAtMs = systemClock.now();
    await fixture.redis.kill();
    const { atMs } = await detected;
    await enqueue(JOBS_A_KEY / 3 + 1, (JOBS_A_KEY * 2) / 3);
    const direct = untilDirect(queue);
    await fixture.redis.start();
    const recoveredAtMs = systemClock.now();
    await enqueue((JOBS_A_KEY * 2) / 3 + 1, JOBS_A_KEY);
    await direct;
    await Promise.all(ledgers.map((ledger) => ledger.settled(60_000)));
    const verdicts = ledgers.map((ledger) => ledger.verdict());
    return {
      verdict: {
        accepted: verdicts.reduce((sum, { accepted }) => sum + accepted, 0),
        delivered: verdicts.reduce((sum, { delivered }) => sum + delivered, 0),
        lost: verdicts.flatMap(({ lost }) => lost),
        duplicated: verdicts.flatMap(({ duplicated }) => duplicated),
        outOfOrder: verdicts.flatMap(({ outOfOrder }) => outOfOrder),
      },
      detectedAfterMs: atMs - faultAtMs,
      lastedMs: recoveredAtMs - faultAtMs,
    };
  },
);
