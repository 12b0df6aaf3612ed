import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import type { PoolClient } from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { usePoolStage } from './open-pool.ts';

const stage = usePoolStage();

const TIMEOUT_MS = 200;
/** Longer than the timeout, so that it comes between two reads. */
const PAUSE_MS = 300;
const ROWS = "select n, repeat('x', 100) as filler from generate_series(1, 3000) as n";

const pause = (): Promise<void> => sleep(systemClock, PAUSE_MS);

/** Reads all rows, with a pause after the first. */
async function readSlowly(rows: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of rows) {
    count += 1;
    if (count === 1) await pause();
  }
  return count;
}

async function readPages(cursor: Cursor): Promise<number> {
  let count = 0;
  for (;;) {
    const rows = await cursor.read(100);
    if (rows.length === 0) return count;
    if (count === 0) await pause();
    count += rows.length;
  }
}

/** Waits a while between two chunks. */
async function readChunks(chunks: AsyncIterable<unknown>): Promise<void> {
  await readSlowly(chunks);
}

type OpenPool = ReturnType<typeof stage.open>;

const COPY = "copy (select repeat('x', 1000) from generate_series(1, 50000)) to stdout";

/** A source that never ends. */
function endless(): Readable {
  const source = new Readable({ read: () => undefined });
  source.push('1\n');
  return source;
}

async function withClient<T>(pool: OpenPool, use: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await use(client);
  } finally {
    client.release();
  }
}

const streams: readonly [string, (pool: OpenPool) => Promise<unknown>][] = [
  ['pool.query(QueryStream)', (pool) => readSlowly(pool.query(new QueryStream(ROWS, [])))],
  ['pool.query(Cursor)', (pool) => readPages(pool.query(new Cursor(ROWS)))],
  [
    'client.query(QueryStream)',
    (pool) => withClient(pool, (client) => readSlowly(client.query(new QueryStream(ROWS)))),
  ],
  [
    'client.query(Cursor)',
    (pool) => withClient(pool, (client) => readPages(client.query(new Cursor(ROWS)))),
  ],
  [
    'a stream of Kysely',
    (pool) => {
      const db = new Kysely<never>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
      const query = sql`${sql.raw(ROWS)}`.compile(db);
      return db
        .connection()
        .execute((connection) => readSlowly(connection.getExecutor().stream(query, 1)));
    },
  ],
  ['pool.query(copyTo)', (pool) => pipeline(pool.query(copyTo(COPY)), readChunks)],
  [
    'client.query(copyTo)',
    (pool) => withClient(pool, (client) => pipeline(client.query(copyTo(COPY)), readChunks)),
  ],
  [
    'client.query(copyFrom)',
    (pool) =>
      withClient(pool, async (client) => {
        await client.query('create temp table copied (n int)');
        await pipeline(endless(), client.query(copyFrom('copy copied from stdin')));
      }),
  ],
];

test.each(streams)('after query_timeout %s fails, and the pool goes on', async (_, read) => {
  const pool = stage.open({ max: 1, query_timeout: TIMEOUT_MS });
  await expect(read(pool)).rejects.toThrow('Query read timeout');
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a stream that ends within query_timeout is complete', async () => {
  const pool = stage.open({ max: 1, query_timeout: 10_000 });
  let count = 0;
  for await (const _ of pool.query(new QueryStream(ROWS))) count += 1;
  expect(count).toBe(3_000);
});
