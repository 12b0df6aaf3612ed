import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type ErrorKind, classifyError } from '@holdfast/resilience';
import { type Stage, openStage } from '@holdfast/stage';
import { Cluster, Redis } from 'ioredis';
import { Client } from 'pg';
import postgres from 'postgres';
import { errorOf } from '../../src/client-errors/error-of.ts';
import { isFinal, isOutage, mayPass, underStack } from '../../src/client-errors/under-stack.ts';

let stage: Stage<{ redis: true; postgres: true }>;
beforeAll(async () => {
  stage = await openStage({ redis: true, postgres: true });
});
afterAll(() => stage.close());
beforeEach(async () => {
  for (const server of [stage.redis, stage.postgres.primary]) {
    await server.link.heal();
    if (server.state !== 'running') await server.start();
  }
});

/** Runs one text of SQL on a connection of its own. */
const sqlClients: Readonly<Record<string, (sql: string) => Promise<unknown>>> = {
  async pg(sql) {
    const client = new Client({ connectionString: stage.postgres.primary.url });
    client.on('error', () => {});
    await client.connect();
    return client.query(sql).finally(() => client.end().catch(() => {}));
  },
  async 'postgres.js'(sql) {
    const client = postgres(stage.postgres.primary.url, {
      max: 1,
      connect_timeout: 1,
      onnotice: () => {},
    });
    return client.unsafe(sql).finally(() => client.end({ timeout: 0 }));
  },
};

const statements: readonly [trouble: string, sql: string, kind: ErrorKind][] = [
  ['a syntax error (42601)', 'selec 1', 'client_error'],
  ['an absent table (42P01)', 'select * from absent', 'client_error'],
  ['a null that is not allowed (23502)', raise('23502'), 'client_error'],
  ['a duplicate (23505)', raise('23505'), 'client_error'],
  ['a division by zero (22012)', 'select 1 / 0', 'client_error'],
  ['an error of a function (P0001)', raise('P0001'), 'client_error'],
  ['a password that is wrong (28P01)', raise('28P01'), 'client_error'],
  ['a failed transaction (25P02)', 'begin; select 1 / 0', 'client_error'],
  ['a serialization failure (40001)', raise('40001'), 'conflict'],
  ['a deadlock (40P01)', raise('40P01'), 'conflict'],
  ['a lock that is not free (55P03)', raise('55P03'), 'conflict'],
  [
    'a statement timeout (57014)',
    'set statement_timeout = 20; select pg_sleep(5)',
    'network_timeout',
  ],
  ['a write to a standby (25006)', 'begin read only; create table t ()', 'service_unavailable'],
  ['too many connections (53300)', raise('53300'), 'service_unavailable'],
  ['a server that starts (57P03)', raise('57P03'), 'service_unavailable'],
  ['a full disk (53100)', raise('53100'), 'server_error'],
  ['an error of the file system (58030)', raise('58030'), 'server_error'],
  ['an internal error (XX000)', raise('XX000'), 'server_error'],
  ['a connection failure (08006)', raise('08006'), 'network_error'],
  ['an unknown outcome (40003)', raise('40003'), 'network_error'],
];

function raise(state: string): string {
  return `do $$ begin raise exception 'm' using errcode = '${state}'; end $$`;
}

const sqlCases = Object.entries(sqlClients).flatMap(([client, run]) =>
  statements.map(([trouble, sql, kind]) => [client, trouble, kind, run, sql] as const),
);

test.each(sqlCases)('%s: %s is of the kind %s', async (_, __, kind, run, sql) => {
  expect(classifyError(await errorOf(run(sql)))).toBe(kind);
});

test.each(Object.entries(sqlClients))(
  '%s: a duplicate and a syntax error are neither retried nor open a circuit; an outage does both',
  async (_, run) => {
    for (const sql of [raise('23505'), 'selec 1', raise('P0001'), raise('28P01')]) {
      expect([sql, await underStack(() => run(sql))]).toEqual([sql, isFinal]);
    }
    for (const sql of [raise('53300'), raise('57P03'), raise('XX000')]) {
      expect([sql, await underStack(() => run(sql))]).toEqual([sql, isOutage]);
    }
    for (const sql of [raise('40001'), raise('40P01'), raise('55P03')]) {
      expect([sql, await underStack(() => run(sql))]).toEqual([sql, mayPass]);
    }
  },
);

test.each(Object.entries(sqlClients))('%s: a server that ends the session', async (_, run) => {
  const error = await errorOf(run('select pg_terminate_backend(pg_backend_pid())'));
  // postgres.js reports the closed connection instead of the 57P01 that came before.
  expect(['service_unavailable', 'network_error']).toContain(classifyError(error));
});

test.each(Object.entries(sqlClients))('%s: a refused connection', async (_, run) => {
  stage.postgres.primary.link.faults.set('down');
  expect(classifyError(await errorOf(run('select 1')))).toBe('network_error');
});

function redisClient(options: object = {}): Redis {
  const client = new Redis(stage.redis.url, {
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    ...options,
  });
  client.on('error', () => {});
  return client;
}

test('ioredis: replies are of the kind that their code stands for', async () => {
  const redis = redisClient();
  const kindOf = async (call: Promise<unknown>): Promise<ErrorKind> =>
    classifyError(await errorOf(call));
  const fail = (reply: string): Promise<unknown> =>
    redis.eval(`return redis.error_reply('${reply}')`, 0);
  try {
    await redis.set('text', 'a');
    expect(await kindOf(redis.lpush('text', 'b'))).toBe('client_error');
    expect(await kindOf(redis.incr('text'))).toBe('client_error');
    expect(await kindOf(redis.call('absent'))).toBe('client_error');
    expect(await kindOf(redis.evalsha('0'.repeat(40), 0))).toBe('client_error');
    for (const code of ['NOAUTH', 'WRONGPASS', 'NOPERM', 'CROSSSLOT']) {
      expect([code, await kindOf(fail(`${code} m`))]).toEqual([code, 'client_error']);
    }
    const passing = ['LOADING', 'BUSY', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN'];
    for (const code of [...passing, 'OOM', 'MISCONF', 'NOREPLICAS', 'MOVED']) {
      expect([code, await kindOf(fail(`${code} m`))]).toEqual([code, 'service_unavailable']);
    }
  } finally {
    redis.disconnect();
  }
});

test('ioredis: a wrong type is neither retried nor opens a circuit; a Redis that loads does both', async () => {
  const redis = redisClient();
  const fail = (reply: string): Promise<unknown> =>
    redis.eval(`return redis.error_reply('${reply}')`, 0);
  try {
    for (const reply of ['WRONGTYPE m', 'NOPERM m', 'ERR m']) {
      expect([reply, await underStack(() => fail(reply))]).toEqual([reply, isFinal]);
    }
    for (const reply of ['LOADING m', 'OOM m', 'READONLY m']) {
      expect([reply, await underStack(() => fail(reply))]).toEqual([reply, isOutage]);
    }
  } finally {
    redis.disconnect();
  }
});

/** ioredis reports all of these by texts alone; an error that is not known is retried, and counts as a failure. */
test('ioredis: a lost connection is never an answer and never an abort', async () => {
  const lost: ErrorKind[] = ['network_error', 'network_timeout', 'unknown'];
  const slow = redisClient({ commandTimeout: 50 });
  await slow.ping();
  stage.redis.link.faults.set('blackhole');
  expect(lost).toContain(classifyError(await errorOf(slow.ping())));
  await stage.redis.link.heal();
  slow.disconnect();
  expect(lost).toContain(classifyError(await errorOf(slow.ping())));
  for (const options of [{}, { maxRetriesPerRequest: null }, { enableOfflineQueue: false }]) {
    const redis = redisClient(options);
    await new Promise((resolve) => redis.once('ready', resolve));
    const pending = errorOf(redis.blpop('absent', 0));
    const piped = redis.pipeline().blpop('absent', 0).exec();
    stage.redis.link.faults.set('reset');
    expect(lost).toContain(classifyError(await pending));
    const replies = await piped.catch((thrown: unknown) => [[thrown]]);
    const cutOff = replies?.[0]?.[0];
    expect(cutOff).toBeDefined();
    expect(lost).toContain(classifyError(cutOff));
    redis.disconnect();
    await stage.redis.link.heal();
  }
  stage.redis.link.faults.set('down');
  const refused = redisClient();
  expect(lost).toContain(classifyError(await errorOf(refused.ping())));
  refused.disconnect();
  const { host, port } = stage.redis;
  const cluster = new Cluster([{ host, port }], { clusterRetryStrategy: () => null });
  cluster.on('error', () => {});
  expect(lost).toContain(classifyError(await errorOf(cluster.get('a'))));
  cluster.disconnect();
});
