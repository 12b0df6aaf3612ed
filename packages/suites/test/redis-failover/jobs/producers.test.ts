import { expect } from '@jest/globals';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { AOF_ALWAYS } from '../../../src/redis-fixture.ts';
import { runProducer } from '../../../src/child.ts';
import { Ledger } from '../../../src/ledger.ts';
import { offerLoad } from '../../../src/load.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';
const BEFORE_THE_CRASH = 300;
/** The first job number of the next process. */
const FROM_THE_NEXT = 1_000_000;

scenario(
  FAMILY,
  {
    promise:
      'jobs that a crashed producer accepted into its journal are delivered by the next process',
    fault: 'Redis down, then kill -9 of the producer with an undrained journal',
    settings: AOF_ALWAYS,
  },
  async (fixture) => {
    const ledger = new Ledger();
    const directory = await fixture.directory();
    await fixture.redis.kill();
    const producer = runProducer({ url: fixture.redis.url, directory, topic: TOPIC });
    for await (const { job, accepted } of producer.accepted) {
      ledger.accepted(job, accepted);
      if (job === BEFORE_THE_CRASH) break;
    }
    await producer.kill();

    expect(ledger.acceptedBy('journal')).toHaveLength(BEFORE_THE_CRASH);
    await fixture.redis.start();

    const startedAtMs = systemClock.now();
    const next = fixture.queue({ directory });
    next.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
    const handled = ledger.nextDelivery();
    const load = offerLoad(next, ledger, { topic: TOPIC, jobsPerSecond: 300, from: FROM_THE_NEXT });
    const handledAtMs = await handled;
    await ledger.nextDelivery(FROM_THE_NEXT + 10);
    expect((await load.stop()).refused).toEqual([]);
    await ledger.settled(60_000);
    await fixture.untilHandled(TOPIC);
    return {
      verdict: ledger.verdict(),
      recoveredAfterMs: handledAtMs - startedAtMs,
      note: 'jobs written but not yet acknowledged when the producer died may be delivered too',
    };
  },
);

const PRODUCERS = 2;
const FIRST_OF = (producer: number): number => producer * 1_000_000;

scenario(
  FAMILY,
  {
    promise: 'two producers that drain at the same time each keep their order and lose no job',
    fault: `kill -9, start after 1.5 s, ${PRODUCERS} producers on one topic`,
    settings: AOF_ALWAYS,
    // Until the last job of the outage is handled, one at a time, each on the disk.
    recoveryMs: 4_000,
  },
  async (fixture) => {
    const ledgers = Array.from({ length: PRODUCERS }, () => new Ledger());
    const queues = [];
    for (let index = 0; index < PRODUCERS; index += 1) {
      queues.push(fixture.queue({ directory: await fixture.directory() }));
    }
    const worker = fixture.queue({ fallback: 'memory' });
    worker.process(
      TOPIC,
      ({ payload }) => {
        const job = Number(payload);
        ledgers[Math.floor(job / FIRST_OF(1))]?.delivered(job);
      },
      { concurrency: 1 },
    );
    await Promise.all(queues.map((queue) => queue.ready()));
    const loads = queues.map((queue, index) =>
      offerLoad(queue, ledgers[index] ?? new Ledger(), {
        topic: TOPIC,
        jobsPerSecond: 300,
        from: FIRST_OF(index) + 1,
      }),
    );
    await Promise.all(ledgers.map((ledger) => ledger.nextDelivery()));
    const detected = queues.map((queue) =>
      nextEvent(queue, 'state', { matches: ({ to }) => to === 'buffering' }),
    );
    const faultAtMs = systemClock.now();
    await fixture.redis.kill();
    const seen = await Promise.all(detected);
    const [first] = queues;
    if (first === undefined) throw new Error('no producer');
    await nextEvent(first, 'reconnecting', { matches: ({ atMs }) => atMs - faultAtMs > 1_500 });
    const handled = ledgers.map((ledger, index) => ledger.nextDelivery(loads[index]?.next));
    const direct = Promise.all(queues.map((queue) => untilDirect(queue)));
    await fixture.redis.start();
    const recoveredAtMs = systemClock.now();
    const handledAtMs = Math.max(...(await Promise.all(handled)));
    await direct;
    for (const load of loads) expect((await load.stop()).refused).toEqual([]);
    await Promise.all(ledgers.map((ledger) => ledger.settled(60_000)));
    await fixture.untilHandled(TOPIC);
    const verdicts = ledgers.map((ledger) => ledger.verdict());
    return {
      verdict: {
        accepted: verdicts.reduce((sum, { accepted }) => sum + accepted, 0),
        delivered: verdicts.reduce((sum, { delivered }) => sum + delivered, 0),
        lost: verdicts.flatMap(({ lost }) => lost),
        duplicated: verdicts.flatMap(({ duplicated }) => duplicated),
        outOfOrder: verdicts.flatMap(({ outOfOrder }) => outOfOrder),
      },
      detectedAfterMs: Math.max(...seen.map(({ atMs }) => atMs)) - faultAtMs,
      recoveredAfterMs: Math.max(0, handledAtMs - recoveredAtMs),
    };
  },
);
