import { expect } from '@jest/globals';
import type { QueueEvents } from '@holdfast/queue';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { type RedisFixture, EVERY_SECOND } from '../../../src/redis-fixture.ts';
import { runFlapping } from '../../../src/flapping.ts';
import { Ledger } from '../../../src/ledger.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { type ScenarioOutcome, scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';
const BACKLOG = 400;
const DURING = 200;

interface Forgetting {
  readonly outcome: ScenarioOutcome;
  readonly ledger: Ledger;
  readonly forgets: readonly QueueEvents['server-lost-jobs'][];
}

/** A Redis that keeps nothing is killed with a backlog, and jobs go on being offered while it is away. */
async function playForgetting(arena: RedisFixture, retainMs: number): Promise<Forgetting> {
  const ledger = new Ledger();
  const queue = arena.queue({ directory: await arena.directory(), retainMs });
  await queue.ready();
  const enqueue = async (job: number): Promise<void> => {
    const { accepted } = await queue.enqueue(TOPIC, job);
    ledger.accepted(job, accepted);
  };
  const inOrder = (from: number, count: number): Promise<void[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => enqueue(from + index)));
  const forgets: QueueEvents['server-lost-jobs'][] = [];
  queue.on('server-lost-jobs', (event) => forgets.push(event));

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
  const outcome = {
    verdict: ledger.verdict(),
    detectedAfterMs: atMs - harmedAtMs,
    lastedMs: mendedAtMs - harmedAtMs,
    recoveredAfterMs: Math.max(0, handledAtMs - mendedAtMs),
  };
  return { outcome, ledger, forgets };
}

const RETAIN_MS = 60_000;

scenario(
  FAMILY,
  {
    promise: 'what a Redis without persistence forgets is sent again, as far as it is retained',
    fault: 'kill -9 with a backlog, appendonly off, start',
  },
  async (arena) => {
    const { outcome, forgets } = await playForgetting(arena, RETAIN_MS);
    expect(forgets).toMatchObject([{ topic: TOPIC, jobs: BACKLOG, resent: BACKLOG }]);
    return outcome;
  },
);

scenario(
  FAMILY,
  {
    promise:
      'what a Redis without persistence forgets is counted as forgotten by Redis, and nothing else is lost',
    fault: 'kill -9 with a backlog, appendonly off, start; retainMs 0',
    mayForget: true,
  },
  async (arena) => {
    const { outcome, ledger, forgets } = await playForgetting(arena, 0);
    const { lost } = outcome.verdict;
    // All that Redis had, and nothing that it had not.
    expect(lost).toEqual(ledger.acceptedBy('redis'));
    expect(forgets).toMatchObject([{ topic: TOPIC, jobs: lost.length, resent: 0 }]);
    return { ...outcome, forgotten: lost };
  },
);

const KILLS = 5;

scenario(
  FAMILY,
  {
    promise:
      'what a Redis that syncs every second forgets is sent again, and handled work is not run again',
    fault: '5 x kill -9 and start under load; appendonly everysec',
    settings: EVERY_SECOND,
  },
  async (arena) => {
    const { ledger, recoveredAfterMs } = await runFlapping(arena, KILLS);
    return { verdict: ledger.verdict(), recoveredAfterMs };
  },
);
