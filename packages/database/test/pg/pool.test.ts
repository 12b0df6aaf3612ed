import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import pg, { Client, DatabaseError, Pool as PgPool, types } from 'pg';
import * as facade from '@holdfast/database/pg';
import PgLike from '@holdfast/database/pg';
import { nextOf, usePoolStage } from './open-pool.ts';

const stage = usePoolStage();

const POLL_MS = 5;

test('a connection keeps one client object, of the class of pg, for all who get it', async () => {
  const pool = stage.open({ max: 1 });
  const client = await pool.connect();
  expect(client).toBeInstanceOf(Client);
  Object.assign(client, { marked: true });
  client.release();
  const again = await pool.connect();
  expect(again).toBe(client);
  again.release();
  const given = await new Promise<unknown>((resolve) => {
    pool.connect((error, leased, release) => {
      resolve([error, leased, release === leased?.release]);
      release();
    });
  });
  expect(given).toEqual([undefined, client, true]);
});

test('a second release throws each time, of the client and of the callback', async () => {
  const pool = stage.open({ max: 1 });
  const client = await pool.connect();
  client.release();
  const released = expect.objectContaining({
    code: 'DATABASE_POOL_MISUSE',
    message: 'Release called on client which has already been released to the pool.',
  });
  expect(() => client.release()).toThrow(released);
  expect(() => client.release()).toThrow(released);
  // Nobody else lost the client by it.
  const { rows } = await pool.query('select 1 as one');
  expect(rows).toEqual([{ one: 1 }]);
});

test('the pool announces a client once, then each acquisition and release, before the caller has it', async () => {
  const pool = stage.open({ max: 1 });
  const seen: unknown[] = [];
  for (const event of ['connect', 'acquire', 'release', 'remove'] as const) {
    pool.on(event, (...given: unknown[]) => seen.push([event, ...given]));
  }
  const client = await pool.connect();
  expect(seen).toEqual([
    ['connect', client],
    ['acquire', client],
  ]);
  client.release();
  await pool.query('select 1');
  const failure = new Error('of the caller');
  const last = await pool.connect();
  const removed = nextOf(pool, 'remove');
  last.release(failure);
  expect(pool.totalCount).toBe(0);
  await removed;
  expect(seen.slice(2)).toEqual([
    ['release', undefined, client],
    ['acquire', client],
    ['release', undefined, client],
    ['acquire', client],
    ['release', failure, client],
    ['remove', client],
  ]);
});

test('counts say who is connected, idle and waiting', async () => {
  const pool = stage.open({ max: 2 });
  const counts = (): unknown[] => [pool.totalCount, pool.idleCount, pool.waitingCount];
  expect(counts()).toEqual([0, 0, 0]);
  const first = pool.connect();
  expect(counts()).toEqual([1, 0, 0]);
  const clients = [await first, await pool.connect()];
  const third = pool.connect();
  expect(counts()).toEqual([2, 0, 1]);
  clients[0]?.release();
  const last = await third;
  expect(counts()).toEqual([2, 0, 0]);
  last.release();
  clients[1]?.release();
  expect(counts()).toEqual([2, 2, 0]);
});

test('the end waits for clients that are out; a second end and later calls are errors', async () => {
  const pool = stage.open();
  const client = await pool.connect();
  const ended = pool.end();
  expect([pool.ending, pool.ended]).toEqual([true, false]);
  const misuse = { code: 'DATABASE_POOL_MISUSE' };
  await expect(pool.end()).rejects.toMatchObject(misuse);
  await expect(pool.connect()).rejects.toMatchObject(misuse);
  await expect(pool.query('select 1')).rejects.toMatchObject(misuse);
  const { rows } = await client.query('select 1 as one');
  expect(rows).toEqual([{ one: 1 }]);
  client.release();
  await ended;
  expect([pool.ending, pool.ended, pool.totalCount]).toEqual([true, true, 0]);
});

test('callbacks get what promises get, and what they throw is not lost', async () => {
  const pool = stage.open();
  const rows = await new Promise((resolve, reject) => {
    const returned: unknown = pool.query('select $1::int as n', [4], (error, result) =>
      error ? reject(error) : resolve(result.rows),
    );
    expect(returned).toBeUndefined();
  });
  expect(rows).toEqual([{ n: 4 }]);
  const code = await new Promise((resolve) => {
    pool.query('select nonsense', (error: Error & { code?: string }) => resolve(error.code));
  });
  expect(code).toBe('42703');
  const misuse: unknown = await new Promise((resolve) => {
    Reflect.apply(pool.query.bind(pool), undefined, [resolve]);
  });
  expect(misuse).toMatchObject({ code: 'DATABASE_POOL_MISUSE' });
  await new Promise<void>((resolve) => {
    pool.end(resolve);
  });
});

test('every form of a query gives what pg gives', async () => {
  const pool = stage.open();
  const peer = new PgPool({ connectionString: stage.server.url });
  const several = 'select 1 as a; create temp table t (x int); insert into t values (1), (2)';
  const queries = [
    'select 1 as a, now() is null as b',
    several,
    { text: 'select $1::int as a', values: [undefined], rowMode: 'array' },
    { name: 'named', text: 'select $1::text as a', values: ['x'] },
    { text: 'select $1::text as a', values: ['x'], queryMode: 'extended' },
    { text: 'select 1 as a', types: { getTypeParser: () => () => 'parsed' } },
    '',
  ];
  try {
    for (const query of queries) {
      const [own, its] = [await ask(pool, query), await ask(peer, query)];
      expect(JSON.stringify(own)).toBe(JSON.stringify(its));
      expect(Array.isArray(own)).toBe(query === several);
    }
    for (const query of [null, undefined, {}, { text: 1 }, 'select $1', 'select 1/0']) {
      const failures = await Promise.all(
        [pool, peer].map((each) =>
          (async () => ask(each, query))().then(
            () => 'no error',
            (error: unknown) => String(error),
          ),
        ),
      );
      expect(failures[0]).toBe(failures[1]);
    }
  } finally {
    await peer.end();
  }
});

test('a refused statement keeps its connection; one that was cut off closes it', async () => {
  const pool = stage.open({ max: 1 });
  const pid = async (): Promise<unknown> =>
    (await pool.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;
  const first = await pid();
  await expect(pool.query('select nonsense')).rejects.toMatchObject({ code: '42703' });
  expect(await pid()).toBe(first);
  await expect(ask(pool, { text: 'select pg_sleep(30)', query_timeout: 50 })).rejects.toThrow(
    'Query read timeout',
  );
  expect(await pid()).not.toBe(first);
  // Its statement does not run on, as it would with pg.
  const isRunning = async (): Promise<boolean> => {
    const text = "select 1 from pg_stat_activity where pid = $1 and state = 'active'";
    return (await pool.query(text, [first])).rowCount !== 0;
  };
  while (await isRunning()) await sleep(systemClock, POLL_MS);
});

test('a client is not lent while its last query runs, nor with its transaction open', async () => {
  const pool = stage.open({ max: 1 });
  const client = await pool.connect();
  await client.query('create temp table kept (n int)');
  await client.query('begin; insert into kept values (1)');
  const late = client.query('select pg_sleep(0.1), 7 as n');
  client.release();
  expect(pool.idleCount).toBe(0);
  const next = await pool.connect();
  expect((await late).rows[0]).toMatchObject({ n: 7 });
  expect(next).toBe(client);
  expect(next.getTransactionStatus()).toBe('I');
  expect((await next.query('select * from kept')).rows).toEqual([]);
  next.release();
});

test('a begin by the pool is rolled back before another caller gets its connection', async () => {
  const pool = stage.open({ max: 1 });
  await pool.query('begin');
  const client = await pool.connect();
  expect(client.getTransactionStatus()).toBe('I');
  client.release();
});

test('at the deadline of close no statement of the pool runs on at the server', async () => {
  const [closed, other] = [stage.open(), stage.open()];
  const asleep = 'select pg_sleep(60), 4711';
  const client = await closed.connect();
  client.on('error', () => undefined);
  const failures = Promise.allSettled([
    client.query(asleep),
    closed.query(asleep),
    closed.holdfast.query(asleep),
    closed.holdfast.batch([{ text: asleep }, { text: asleep }]),
  ]);
  const running = async (): Promise<number> => {
    const text = "select 1 from pg_stat_activity where query like '%4711' and state = 'active'";
    return (await other.query(text)).rowCount ?? 0;
  };
  while ((await running()) < 4) await sleep(systemClock, POLL_MS);
  await closed.holdfast.close({ deadlineMs: 10 });
  client.release();
  expect((await failures).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
  while ((await running()) > 0) await sleep(systemClock, POLL_MS);
}, 20_000);

test('idle clients go at their timeout, down to min; old and worn ones go at all events', async () => {
  const pool = stage.open({ max: 3, min: 1, idleTimeoutMillis: 20 });
  const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
  for (const client of clients) client.release();
  await until(() => pool.totalCount === 1);
  // As long as it takes another pool to close all of its clients.
  const other = stage.open({ idleTimeoutMillis: 20 });
  await other.query('select 1');
  await until(() => other.totalCount === 0);
  expect(pool.totalCount).toBe(1);

  const worn = stage.open({ max: 1, min: 1, maxUses: 2 });
  const first = await worn.connect();
  first.release();
  const second = await worn.connect();
  expect(second).toBe(first);
  second.release();
  expect(worn.totalCount).toBe(0);

  const old = stage.open({ max: 1, min: 1, maxLifetimeSeconds: 0.2, idleTimeoutMillis: 0 });
  const held = await old.connect();
  expect(old.expiredCount).toBe(0);
  await until(() => old.expiredCount === 1);
  expect(old.totalCount).toBe(1);
  held.release();
  expect([old.totalCount, old.expiredCount]).toEqual([0, 0]);
  await old.query('select 1');
  expect(old.totalCount).toBe(1);
  await until(() => old.totalCount === 0);
});

test('an idle client that fails is the pool’s error for those who listen, and nobody’s death', async () => {
  const pool = stage.open({ max: 1 });
  const client = await pool.connect();
  client.release();
  client.emit('error', new Error('nobody listens'));
  expect([pool.totalCount, pool.idleCount]).toEqual([0, 0]);
  const second = await pool.connect();
  second.release();
  const failed = nextOf(pool, 'error');
  second.emit('error', new Error('idle'));
  expect(await failed).toEqual([
    expect.objectContaining({ message: 'idle', client: second }),
    second,
  ]);
  const third = await pool.connect();
  let heard: unknown;
  third.once('error', (error: Error) => (heard = error));
  pool.once('error', () => expect('the pool').toBe('silent'));
  third.emit('error', new Error('in use'));
  expect(heard).toMatchObject({ message: 'in use' });
  // It is out until its caller gives it back.
  expect(pool.totalCount).toBe(1);
  third.release();
  expect(pool.totalCount).toBe(0);
});

test('a client whose listeners its user has removed is still watched when it is idle', async () => {
  const pool = stage.open({ max: 1 });
  const client = await pool.connect();
  client.removeAllListeners();
  client.release();
  const failed = nextOf(pool, 'error');
  const removed = nextOf(pool, 'remove');
  client.emit('error', new Error('idle'));
  expect(await failed).toMatchObject([{ message: 'idle' }, client]);
  expect(await removed).toEqual([client]);
  expect(pool.totalCount).toBe(0);
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a derived class overrides connect and query, and the module has the exports of pg', async () => {
  class Counting extends facade.Pool {
    connects = 0;
  }
  Object.defineProperty(Counting.prototype, 'connect', {
    value(this: Counting, done: unknown): unknown {
      this.connects += 1;
      return Reflect.apply(facade.Pool.prototype.connect.bind(this), undefined, [done]);
    },
  });
  const pool = new Counting({ connectionString: stage.server.url });
  await pool.query('select 1');
  const client = await pool.connect();
  client.release();
  expect(pool.connects).toBe(2);
  expect(pool).toBeInstanceOf(PgPool);
  // Code written for pg uses its types by these names.
  const typed: PgLike.Pool = pool;
  const lend = async (from: facade.Pool): Promise<PgLike.PoolClient> => from.connect();
  const leased: facade.PoolClient = await lend(typed);
  leased.release();
  await pool.end();
  const missing = Object.keys(pg).filter((name) => !(name in PgLike));
  expect(missing).toEqual([]);
  expect(PgLike).toMatchObject({ Pool: facade.Pool, native: null });
  expect(facade.native).toBeNull();
  expect(facade.types).toBe(types);
  expect(facade.DatabaseError).toBe(DatabaseError);
});

/** A query that the types of pg may not permit. */
async function ask(pool: PgPool, query: unknown): Promise<unknown> {
  return Reflect.apply(pool.query.bind(pool), undefined, [query]);
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(systemClock, POLL_MS);
}

test('a connection that the pool closes itself is no error', async () => {
  const errors: unknown[] = [];
  const removed: unknown[] = [];
  const configs = [{ idleTimeoutMillis: 20 }, { maxUses: 1 }, { maxLifetimeSeconds: 1 }, {}];
  for (const config of configs) {
    const pool = stage.open({ max: 4, ...config });
    pool.on('error', (error: unknown) => errors.push(error));
    const gone = nextOf(pool, 'remove');
    pool.on('remove', (client: unknown) => removed.push(client));
    await Promise.all([1, 2, 3, 4].map(() => pool.query('select pg_sleep(0.01)')));
    if (config.idleTimeoutMillis !== undefined || config.maxUses !== undefined) await gone;
    await pool.end();
    await gone;
  }
  expect(errors).toEqual([]);
  expect(removed.length).toBeGreaterThan(configs.length);
});
