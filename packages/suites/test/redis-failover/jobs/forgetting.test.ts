import { expect } from '@jest/globals';
import type { QueueEvents } from '@holdfast/queue';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { type RedisFixture, AOF_EVERYSEC } from '../../../src/redis-fixture.ts';
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

/** Kills a Redis without persistence that holds a backlog, and keeps offering jobs during the outage. */
async function runForgetting(fixture: RedisFixture, retainMs: number): Promise<Forgetting> {
  const ledger = new Ledger();
  const queue = fixture.queue({ directory: await fixture.directory(), retainMs });
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
  const faultAtMs = systemClock.now();
  await fixture.redis.kill();
  const { atMs } = await detected;
  await inOrder(BACKLOG + 1, DURING);
  const direct = untilDirect(queue);
  await fixture.redis.start();
  const recoveredAtMs = systemClock.now();
  queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
  const handledAtMs = await ledger.nextDelivery();
  await direct;
  await fixture.untilHandled(TOPIC);
  const outcome = {
    verdict: ledger.verdict(),
    detectedAfterMs: atMs - faultAtMs,
    lastedMs: recoveredAtMs - faultAtMs,
    recoveredAfterMs: Math.max(0, handledAtMs - recoveredAtMs),
  };
  return { outcome, ledger, forgets };
}

const RETAIN_MS = 60_000;

scenario(
  FAMILY,
  {
    promise:
      'jobs that a Redis without persistence forgets are sent again, as far as they are retained',
    fault: 'kill -9 with a backlog, appendonly off, start',
  },
  async (fixture) => {
    const { outcome, forgets } = await runForgetting(fixture, RETAIN_MS);
    expect(forgets).toMatchObject([{ topic: TOPIC, jobs: BACKLOG, resent: BACKLOG }]);
    return outcome;
  },
);

scenario(
  FAMILY,
  {
    promise:
      'jobs that a Redis without persistence forgets are counted as lost by the server, and no other job is lost',
    fault: 'kill -9 with a backlog, appendonly off, start; retainMs 0',
    mayForget: true,
  },
  async (fixture) => {
    const { outcome, ledger, forgets } = await runForgetting(fixture, 0);
    const { lost } = outcome.verdict;
    // Exactly the jobs that Redis held.
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
      'jobs that a Redis with a sync every second forgets are sent again, and no handled job runs again',
    fault: '5 x kill -9 and start under load; appendonly everysec',
    settings: AOF_EVERYSEC,
  },
  async (fixture) => {
    const { ledger, recoveredAfterMs } = await runFlapping(fixture, KILLS);
    return { verdict: ledger.verdict(), recoveredAfterMs };
  },
);
