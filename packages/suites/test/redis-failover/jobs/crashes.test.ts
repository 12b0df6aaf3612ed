import { expect, test } from '@jest/globals';
import { createQueueAdapter, postgresLedger } from '@holdfast/queue';
import { seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { record } from '@holdfast/report';
import { openStage } from '@holdfast/stage';
import { Pool, type PoolClient } from 'pg';
import { AOF_NO_FSYNC, openRedisFixture } from '../../../src/redis-fixture.ts';
import { runConsumer, runProducer } from '../../../src/child.ts';
import { Ledger } from '../../../src/ledger.ts';
import { TOPIC } from '../../../src/outage.ts';

const FAMILY = 'redis-failover';
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 20_261_122);
/** The flag sets the number of rounds; without it only a tenth of the full run is made. */
const PRODUCER_ROUNDS = Number(process.env['HOLDFAST_RUNS'] ?? 20);
const CONSUMER_ROUNDS = Number(process.env['HOLDFAST_RUNS'] ?? 10);
const LEASE_MS = 500;
/** Each round starts a process, which is slow on a busy machine, and the flag may ask for many rounds. */
const ROUNDS_WITHIN_MS = 3_600_000;
/**
 * Without a pause they would accept, over hundreds of rounds, more than one consumer with a database handles in
 * an hour. Eight pause at different times, so that the kill hits some of them during a job.
 */
const PRODUCER_PAUSE_MS = 5;
/** The first job number of each producer. */
const JOBS_A_ROUND = 1_000_000;

/** A database with the inbox and a table of effects, and a function that counts the effects of each job. */
async function openEffects(): Promise<{
  url: string;
  pool: Pool;
  counts(): Promise<Map<number, number>>;
  close(): Promise<void>;
}> {
  const stage = await openStage({ mode: 'local', postgres: true });
  const { url } = stage.postgres.primary;
  const pool = new Pool({ connectionString: url, max: 10 });
  pool.on('error', () => undefined);
  await postgresLedger({ client: pool }).prepare();
  await pool.query('CREATE TABLE effects (job bigint NOT NULL)');
  return {
    url,
    pool,
    async counts() {
      const sql = 'SELECT job, count(*) AS times FROM effects GROUP BY job';
      const { rows } = await pool.query<{ job: string; times: string }>(sql);
      return new Map(rows.map(({ job, times }) => [Number(job), Number(times)]));
    },
    async close() {
      await pool.end();
      await stage.close();
    },
  };
}

function judge(accepted: readonly number[], counts: ReadonlyMap<number, number>): object {
  return {
    lost: accepted.filter((job) => !counts.has(job)),
    twice: [...counts].filter(([, times]) => times > 1).map(([job]) => job),
  };
}

test(
  `with ${PRODUCER_ROUNDS} producers killed at random moments while Redis stops and restarts, every accepted job has its effect once (seed ${SEED})`,
  async () => {
    const random = seededRandom(SEED);
    const [fixture, effects] = await Promise.all([openRedisFixture(AOF_NO_FSYNC), openEffects()]);
    try {
      const directory = await fixture.directory();
      const ledger = new Ledger();
      const worker = createQueueAdapter({ redis: fixture.server });
      worker.process(
        TOPIC,
        async ({ payload }, { transaction }) => {
          await transaction.query('INSERT INTO effects (job) VALUES ($1)', [payload]);
          ledger.delivered(Number(payload));
        },
        { ledger: postgresLedger<PoolClient>({ client: effects.pool }), concurrency: 10 },
      );
      const startedMs = systemClock.now();
      for (let round = 0; round < PRODUCER_ROUNDS; round += 1) {
        const from = round * JOBS_A_ROUND + 1;
        const acknowledge = random() < 0.5 ? 'local' : 'redis';
        const { url } = fixture.redis;
        const isUp = fixture.redis.state === 'running';
        const producer = runProducer({
          url,
          directory,
          topic: TOPIC,
          from,
          acknowledge,
          inFlight: 8,
          pauseMs: PRODUCER_PAUSE_MS,
        });
        for await (const { job, accepted } of producer.accepted) {
          ledger.accepted(job, accepted);
          break;
        }
        if (isUp && random() < 0.5) await fixture.redis.kill();
        else if (!isUp) await fixture.redis.start();
        await sleep(systemClock, Math.floor(random() * 150));
        await producer.kill();
        for (const { job, accepted } of producer.takeAccepted()) ledger.accepted(job, accepted);
      }
      if (fixture.redis.state !== 'running') await fixture.redis.start();
      // The next producer drains the journal that the last one left.
      const last = fixture.queue({ directory });
      await last.ready();
      await ledger.settled(60_000);
      await fixture.untilHandled(TOPIC);
      await worker.close();
      const accepted = ledger.acceptedJobs();
      expect(accepted.length).toBeGreaterThan(PRODUCER_ROUNDS);
      const counts = await effects.counts();
      expect(judge(accepted, counts)).toEqual({ lost: [], twice: [] });
      record({
        family: FAMILY,
        scenario: 'every job that a killed producer accepted has its effect exactly once',
        fault: `${PRODUCER_ROUNDS} x kill -9 of the producer at random moments, Redis up and down`,
        stage: fixture.mode,
        accepted: accepted.length,
        delivered: counts.size,
        lost: 0,
        lostByServer: 0,
        duplicated: 0,
        outOfOrder: 0,
        lastedMs: systemClock.now() - startedMs,
      });
    } finally {
      await fixture.close();
      await effects.close();
    }
  },
  ROUNDS_WITHIN_MS,
);

test(
  `with ${CONSUMER_ROUNDS} consumers killed during their jobs, every job has its effect once (seed ${SEED})`,
  async () => {
    const random = seededRandom(SEED);
    const [fixture, effects] = await Promise.all([openRedisFixture(AOF_NO_FSYNC), openEffects()]);
    try {
      const queue = fixture.queue({ fallback: 'memory' });
      await queue.ready();
      const order = {
        url: fixture.redis.url,
        postgresUrl: effects.url,
        topic: TOPIC,
        leaseMs: LEASE_MS,
      };
      let job = 0;
      for (let round = 0; round < CONSUMER_ROUNDS; round += 1) {
        const jobs = Array.from({ length: 200 }, () => queue.enqueue(TOPIC, (job += 1)));
        await Promise.all(jobs);
        const consumer = runConsumer(order);
        await consumer.handling();
        await sleep(systemClock, Math.floor(random() * 60));
        await consumer.kill();
      }
      const last = runConsumer(order);
      await fixture.untilHandled(TOPIC);
      await last.kill();
      const accepted = Array.from({ length: job }, (_, index) => index + 1);
      const counts = await effects.counts();
      expect(judge(accepted, counts)).toEqual({ lost: [], twice: [] });
      record({
        family: FAMILY,
        scenario: 'every job of a killed consumer has its effect exactly once',
        fault: `${CONSUMER_ROUNDS} x kill -9 of the consumer during its jobs; Postgres ledger`,
        stage: fixture.mode,
        accepted: job,
        delivered: counts.size,
        lost: 0,
        lostByServer: 0,
        duplicated: 0,
        outOfOrder: 0,
      });
    } finally {
      await fixture.close();
      await effects.close();
    }
  },
  ROUNDS_WITHIN_MS,
);
