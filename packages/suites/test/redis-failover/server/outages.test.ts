import { expect } from '@jest/globals';
import type { Queue } from '@holdfast/queue';
import { nextEvent } from '@holdfast/foundation';
import type { Redis } from 'ioredis';
import { type RedisFixture, AOF_ALWAYS } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';
import { runOutage } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';
const COMMAND_TIMEOUT_MS = 500;

const kill = ({ redis }: RedisFixture): Promise<void> => redis.kill();
const start = ({ redis }: RedisFixture): Promise<void> => redis.start();

/** During the outage jobs go to the journal, and the queue reports why. */
function showing(
  state: Queue['state'],
  errorClass: string,
  lastError: RegExp,
): (queue: Queue) => void {
  return (queue) => {
    expect(queue.current).toBe('journal');
    expect(queue.getStats()).toMatchObject({
      state,
      errorClass,
      lastError: expect.stringMatching(lastError),
    });
    expect(queue.getStats().backlog.jobs).toBeGreaterThan(0);
  };
}

scenario(
  FAMILY,
  {
    promise: 'a Redis killed under load loses no job, duplicates none and keeps their order',
    fault: 'kill -9, start after 3 s; appendonly, sync always',
    settings: AOF_ALWAYS,
  },
  (fixture) =>
    runOutage(fixture, {
      inject: kill,
      lastsMs: 3_000,
      recover: start,
      during: showing('buffering', 'unreachable', /ECONNREFUSED|closed/u),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'a Redis stopped by SIGTERM loses no job, duplicates none and keeps their order',
    fault: 'SIGTERM, start after 1 s; appendonly, sync always',
    settings: AOF_ALWAYS,
  },
  (fixture) =>
    runOutage(fixture, { inject: ({ redis }) => redis.stop(), lastsMs: 1_000, recover: start }),
);

scenario(
  FAMILY,
  {
    promise:
      'a frozen Redis is detected within the command deadline, and jobs that it stores late are not duplicated',
    fault: 'SIGSTOP for 3 s',
    detectionMs: COMMAND_TIMEOUT_MS,
    settings: AOF_ALWAYS,
  },
  async (fixture) => {
    const outcome = await runOutage(fixture, {
      inject: ({ redis }) => redis.freeze(),
      lastsMs: 3_000,
      recover: ({ redis }) => redis.thaw(),
      queue: { commandTimeoutMs: COMMAND_TIMEOUT_MS },
      during: showing('buffering', 'unreachable', /no answer within/u),
    });
    return outcome;
  },
);

scenario(
  FAMILY,
  {
    promise: 'jobs offered to a read-only replica wait until it is a primary again',
    fault: 'READONLY for 1.5 s (REPLICAOF an absent primary)',
    settings: AOF_ALWAYS,
  },
  (fixture) =>
    runOutage(fixture, {
      inject: () =>
        fixture.admin((client) => client.replicaof('127.0.0.1', 1)).then(() => undefined),
      lastsMs: 1_500,
      recover: () => fixture.admin((client) => client.replicaof('NO', 'ONE')).then(() => undefined),
      during: showing('buffering', 'unreachable', /READONLY|closed/u),
    }),
);

scenario(
  FAMILY,
  {
    promise: 'jobs offered to a Redis out of memory wait until it has room',
    fault: 'OOM for 1.5 s (maxmemory 1, noeviction)',
    settings: { ...AOF_ALWAYS, 'maxmemory-policy': 'noeviction' },
  },
  (fixture) =>
    runOutage(fixture, {
      inject: () =>
        fixture.admin((client) => client.config('SET', 'maxmemory', '1')).then(() => undefined),
      lastsMs: 1_500,
      recover: () =>
        fixture.admin((client) => client.config('SET', 'maxmemory', '0')).then(() => undefined),
      during: showing('buffering', 'busy', /OOM/u),
    }),
);

const PASSWORD = 'changed-behind-our-back';

scenario(
  FAMILY,
  {
    promise:
      'jobs offered to a Redis that asks for a password wait, with an alarm, until it accepts the client',
    fault: 'NOAUTH for 1.5 s (requirepass set, clients dropped)',
    settings: AOF_ALWAYS,
  },
  (fixture) =>
    runOutage(fixture, {
      inject: () =>
        fixture.admin(async (client) => {
          await client.config('SET', 'requirepass', PASSWORD);
          await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        }),
      lastsMs: 1_500,
      recover: () =>
        fixture.admin(async (client) => {
          await client.config('SET', 'requirepass', '');
        }, PASSWORD),
      during: showing('blocked', 'denied', /NOAUTH/u),
    }),
);

/** Redis loads slowly enough to answer LOADING for a while, however fast the disk is. */
const SLOW_LOADING = { 'key-load-delay': '2000', 'loading-process-events-interval-bytes': '1024' };
const BALLAST_KEYS = 1_000;

async function addBallast(client: Redis): Promise<void> {
  for (let key = 0; key < BALLAST_KEYS; key += 1)
    await client.set(`ballast:${key}`, 'x'.repeat(500));
  await client.bgrewriteaof();
  await waitUntil(async () =>
    (await client.info('persistence')).includes('aof_rewrite_in_progress:0'),
  );
}

scenario(
  FAMILY,
  {
    promise: 'jobs offered while Redis loads its data wait until it has',
    fault: 'kill -9, immediate start, LOADING for about 2 s',
    settings: { ...AOF_ALWAYS, ...SLOW_LOADING },
  },
  async (fixture) => {
    await fixture.admin(addBallast);
    return runOutage(fixture, {
      inject: async ({ redis }, queue) => {
        const loading = nextEvent(queue, 'reconnecting', {
          matches: ({ errorClass, error }) => errorClass === 'busy' && /LOADING/u.test(error),
        });
        await redis.kill();
        await redis.start({ until: 'listening' });
        await loading;
      },
      lastsMs: 0,
      recover: ({ admin }) =>
        admin((client) => waitUntil(async () => (await client.ping().catch(String)) === 'PONG')),
      during: (queue) => expect(queue.current).toBe('journal'),
    });
  },
);
