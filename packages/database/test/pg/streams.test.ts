import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { type PoolClient, Query } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { nextOf, usePoolStage } from './open-pool.ts';

const stage = usePoolStage();

const POLL_MS = 5;

const NUMBERS = 'select n from generate_series(1, 50) as n';
/** More than the buffers between the server and the reader hold, so that the query is under way for long. */
const MANY = "select n, repeat('x', 1000) as filler from generate_series(1, 200000) as n";

test('a cursor reads in pages, may be closed early, and its client is lent again', async () => {
  const pool = stage.open({ max: 1 });
  for (let turn = 0; turn < 3; turn += 1) {
    const client = await pool.connect();
    const cursor = client.query(new Cursor<{ n: number }>(NUMBERS));
    expect(await cursor.read(20)).toHaveLength(20);
    await cursor.close();
    client.release();
  }
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(pool.totalCount).toBe(1);
});

test('a cursor that its caller leaves open does not hold the client for ever', async () => {
  const pool = stage.open({ max: 1 }, { cancelGraceMs: 50 });
  const client = await pool.connect();
  const cursor = client.query(new Cursor(NUMBERS));
  await cursor.read(1);
  client.release();
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('pool.query gives a cursor or a stream back, and its client to the pool when it has ended', async () => {
  const pool = stage.open({ max: 1 });
  const cursor = pool.query(new Cursor<{ n: number }>(NUMBERS));
  expect(cursor).toBeInstanceOf(Cursor);
  expect(await cursor.read(10)).toHaveLength(10);
  await cursor.close();
  const stream = pool.query(new QueryStream(NUMBERS, [], { batchSize: 7 }));
  expect(await collect(stream)).toHaveLength(50);
  const read: unknown[] = [];
  for await (const row of pool.query(new QueryStream(MANY))) {
    read.push(row);
    if (read.length === 5) break;
  }
  // Destroyed before it has a client.
  pool.query(new QueryStream(MANY)).destroy();
  const given: unknown = pool.query(new Query('select 3 as three'));
  expect(await given).toMatchObject({ rows: [{ three: 3 }] });
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
});

test('a stream that gets no client ends with the error', async () => {
  const pool = stage.open({ max: 1, connectionTimeoutMillis: 500 });
  const client = await pool.connect();
  await expect(collect(pool.query(new QueryStream(NUMBERS)))).rejects.toThrow('timeout');
  client.release();
  const refused = collect(pool.query(new QueryStream('select nonsense')));
  await expect(refused).rejects.toMatchObject({ code: '42703' });
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('rows are copied in and out', async () => {
  const pool = stage.open({ max: 1 });
  const client = await pool.connect();
  await client.query('create temp table copied (n int)');
  await pipeline(
    Readable.from(['1\n', '2\n', '3\n']),
    client.query(copyFrom('copy copied from stdin')),
  );
  const chunks = await collect<Buffer>(client.query(copyTo('copy copied to stdout')));
  expect(Buffer.concat(chunks).toString()).toBe('1\n2\n3\n');
  client.release();
  await pool.query('select 1');
  expect(pool.totalCount).toBe(1);
});

test('a client hears notifications and notices, and when it is idle or has ended', async () => {
  const pool = stage.open({ max: 2 });
  const client = await pool.connect();
  const drained = nextOf(client, 'drain');
  await client.query('listen news');
  await drained;
  const heard = nextOf(client, 'notification');
  await pool.query("select pg_notify('news', 'hello')");
  expect(await heard).toMatchObject([{ channel: 'news', payload: 'hello' }]);
  const noticed = nextOf(client, 'notice');
  await client.query("do $$ begin raise notice 'careful'; end $$");
  expect(await noticed).toMatchObject([{ message: 'careful' }]);
  const ended = nextOf(client, 'end');
  client.release(true);
  await ended;
});

/** The server is killed while each is under way; nothing listens but what the test says. */
const underWay: readonly [string, (pool: ReturnType<typeof stage.open>) => Promise<unknown>][] = [
  ['a query', (pool) => pool.query('select pg_sleep(30)')],
  [
    'a leased client without a listener',
    async (pool) => {
      const client = await pool.connect();
      try {
        return await client.query('select pg_sleep(30)');
      } finally {
        client.release();
      }
    },
  ],
  [
    'a cursor',
    async (pool) => {
      const client = await pool.connect();
      try {
        const cursor = client.query(new Cursor(MANY));
        for (;;) await Promise.all([cursor.read(1), sleep(systemClock, POLL_MS)]);
      } finally {
        client.release();
      }
    },
  ],
  ['a stream', (pool) => slowly(pool.query(new QueryStream(MANY)))],
  [
    'a stream of Kysely',
    (pool) => {
      const db = new Kysely<Record<string, never>>({
        dialect: new PostgresDialect({ pool, cursor: Cursor }),
      });
      const query = sql<{ n: number }>`${sql.raw(MANY)}`.compile(db);
      return slowly(db.getExecutor().stream(query, 1));
    },
  ],
  [
    'a copy',
    async (pool) => {
      const client = await pool.connect();
      try {
        return await slowly(client.query(copyTo(`copy (${MANY}) to stdout`)));
      } finally {
        client.release();
      }
    },
  ],
];

test.each(underWay)(
  '%s fails when Postgres is killed, and the process lives',
  async (_name, run) => {
    const pool = stage.open({ max: 2 });
    const listening = await pool.connect();
    await listening.query('listen news');
    const ended = nextOf(listening, 'end');
    const failing = run(pool).then(() => 'no error', String);
    const watcher = stage.open({ max: 1 });
    const text =
      "select 1 from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()";
    while ((await watcher.query(text)).rowCount === 0) await sleep(systemClock, POLL_MS);
    await stage.server.kill();
    const served = pool.query('select 1 as one');
    await stage.server.start();
    expect(await failing).toMatch(/terminat|ECONNRESET|57P0|closed/);
    await ended;
    listening.release();
    expect((await served).rows).toEqual([{ one: 1 }]);
    await pool.query('select 1');
    expect(pool.waitingCount).toBe(0);
  },
);

/** Cuts the client's connection between the end of the rows and that of the transaction. */
function cutWhenComplete({ connection }: PoolClient): void {
  connection.once('commandComplete', () => connection.stream.destroy());
}

test.each<[string, (client: PoolClient) => Promise<unknown>]>([
  ['the read of a cursor', (client) => client.query(new Cursor(NUMBERS)).read(100)],
  ['a stream', (client) => collect(client.query(new QueryStream(NUMBERS)))],
])('%s ends when the connection is lost after its last row', async (_name, run) => {
  const pool = stage.open({ max: 1 });
  const client = await pool.connect();
  cutWhenComplete(client);
  await expect(run(client)).rejects.toThrow('terminated');
  client.release();
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a cursor hears of an error at the end of its transaction', async () => {
  const pool = stage.open({ max: 1 });
  const client = await pool.connect();
  await client.query('create temp table once (n int unique deferrable initially deferred)');
  const cursor = client.query(new Cursor('insert into once values (1), (1) returning n'));
  await expect(cursor.read(100)).rejects.toMatchObject({ code: '23505' });
  await cursor.close();
  client.release();
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(pool.totalCount).toBe(1);
});

async function slowly(rows: AsyncIterable<unknown>): Promise<never> {
  const reader = rows[Symbol.asyncIterator]();
  while ((await reader.next()).done !== true) await sleep(systemClock, POLL_MS);
  throw new TypeError('all rows arrived');
}

async function collect<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const all: Row[] = [];
  for await (const row of rows) all.push(row);
  return all;
}
