import { expect } from '@jest/globals';
import type { QueueEvents } from '@holdfast/queue';
import { nextEvent, systemClock } from '@holdfast/resilience';
import { EVERY_SECOND } from '../../src/arena.ts';
import { playFlapping } from '../../src/flapping.ts';
import { Ledger } from '../../src/ledger.ts';
import { TOPIC, untilDirect } from '../../src/outage.ts';
import { scenario } from '../../src/scenario.ts';

const BACKLOG = 400;
const DURING = 200;

scenario(
  'redis-failover',
  {
    promise:
      'what a Redis without persistence forgets is counted as forgotten by Redis, and nothing else is lost',
    fault: 'kill -9 with a backlog, appendonly off, start',
    mayForget: true,
  },
  async (arena) => {
    const ledger = new Ledger();
    const queue = arena.queue({ directory: await arena.directory() });
    await queue.ready();
    const enqueue = async (job: number): Promise<void> => {
      const { accepted } = await queue.enqueue(TOPIC, job);
      ledger.accepted(job, accepted);
    };
    const inOrder = (from: number, count: number): Promise<void[]> =>
      Promise.all(Array.from({ length: count }, (_, index) => enqueue(from + index)));
    const forgets: QueueEvents['forgot'][] = [];
    queue.on('forgot', (event) => forgets.push(event));

    await inOrder(1, BACKLOG);
    const detected = nextEvent(queue, 'state');
    const harmedAtMs = systemClock.now();
    await arena.redis.kill();
    const { atMs } = await detected;
    await inOrder(BACKLOG + 1, DURING);
    const direct = untilDirect(queue);
    await arena.redis.start();
    const mendedAtMs = systemClock.now();
    queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
    const handledAtMs = await ledger.nextDelivery();
    await direct;
    await arena.untilHandled(TOPIC);

    const verdict = ledger.verdict();
    // All that Redis had, and nothing that it had not.
    expect(verdict.lost).toEqual(ledger.acceptedBy('redis'));
    expect(forgets).toEqual([expect.objectContaining({ topic: TOPIC, jobs: verdict.lost.length })]);
    expect(queue.getStats().forgot).toEqual({ times: 1, jobs: verdict.lost.length });
    return {
      verdict,
      forgotten: verdict.lost,
      detectedAfterMs: atMs - harmedAtMs,
      recoveredAfterMs: Math.max(0, handledAtMs - mendedAtMs),
    };
  },
);

const KILLS = 5;

scenario(
  'redis-failover',
  {
    promise:
      'what a Redis that syncs every second forgets is told by the queue, and handled work is not run again',
    fault: '5 x kill -9 and start under load; appendonly everysec',
    settings: EVERY_SECOND,
    mayForget: true,
  },
  async (arena) => {
    const { ledger, queue, recoveredAfterMs } = await playFlapping(arena, KILLS);
    const verdict = ledger.verdict();
    // Usually nothing: only a sync that happens to be under way lets Redis answer before it writes. Jobs that
    // Redis took from the journal are among what it may forget.
    expect(queue.getStats().forgot.jobs).toBeGreaterThanOrEqual(verdict.lost.length);
    return { verdict, forgotten: verdict.lost, recoveredAfterMs };
  },
);
