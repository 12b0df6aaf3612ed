import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '@holdfast/foundation';
import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from '@holdfast/database/pg';
import { openStage } from '@holdfast/stage';

const POLL_MS = 20;
const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

function openPool(...options: ConstructorParameters<typeof Pool>): Pool {
  const pool = new Pool(...options);
  closers.push(() => pool.holdfast.close({ deadlineMs: 2_000 }));
  return pool;
}

/** Asks until the answer is the expected one; at last throws why it was not. */
async function untilAnswered(ask: () => Promise<void>): Promise<void> {
  const deadline = systemClock.now() + 10_000;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (systemClock.now() > deadline) throw error;
      await sleep(systemClock, POLL_MS);
    }
  }
}

interface Schema {
  written: { n: number };
}

test('of several hosts the new primary gets the writes, also of clients that libraries hold', async () => {
  const stage = await openStage({ mode: 'local', link: false, postgres: { replica: true } });
  closers.push(() => stage.close());
  const { primary, replica } = stage.postgres;
  const pool = openPool({ max: 3 }, { hosts: [replica.url, primary.url] });
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  await pool.query('create table written (n int not null)');
  await db.insertInto('written').values({ n: 1 }).execute();
  const standby = openPool({ connectionString: replica.url });
  await untilAnswered(async () => {
    expect((await standby.query('select n from written')).rows).toEqual([{ n: 1 }]);
  });
  await primary.kill();
  await stage.postgres.promote();
  await db.transaction().execute(async (tx) => tx.insertInto('written').values({ n: 2 }).execute());
  await pool.query('insert into written values (3)');
  const { rows } = await pool.query<{ role: boolean }>('select pg_is_in_recovery() as role');
  expect(rows).toEqual([{ role: false }]);
  expect(await db.selectFrom('written').selectAll().execute()).toContainEqual({ n: 3 });
});

test.each(['session', 'transaction', 'statement'] as const)(
  'behind a pooler in %s mode queries run, and go on when the server was killed',
  async (mode) => {
    const settings = { server_login_retry: '1' };
    const stage = await openStage({
      mode: 'local',
      link: false,
      postgres: { pgbouncer: { mode, settings } },
    });
    closers.push(() => stage.close());
    const pool = openPool({ connectionString: stage.postgres.pgbouncer.url, max: 3 });
    const one = async (): Promise<unknown> =>
      (await pool.query('select $1::int as one', [1])).rows[0];
    expect(await Promise.all([one(), one(), one(), one()])).toEqual(
      [1, 2, 3, 4].map(() => ({ one: 1 })),
    );
    if (mode !== 'statement') {
      const client = await pool.connect();
      await client.query('begin');
      await client.query('create temp table t (n int) on commit drop');
      await client.query('rollback');
      client.release();
    }
    await stage.postgres.primary.kill();
    await stage.postgres.primary.start();
    await untilAnswered(async () => expect(await one()).toEqual({ one: 1 }));
  },
);

/** A Unix socket that leads to the server, in a folder of its own. */
async function openSocketTo({ host, port }: { host: string; port: number }, folder: string) {
  const relay = createServer((client) => {
    const server = connect({ host, port });
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
    client.pipe(server).pipe(client);
  });
  relay.listen(join(folder, '.s.PGSQL.5432'));
  await once(relay, 'listening');
  return { close: () => new Promise((resolve) => relay.close(resolve)) };
}

test('through a Unix socket queries run, are cancelled, and wait while there is no socket', async () => {
  const stage = await openStage({ mode: 'local', link: false, postgres: true });
  closers.push(() => stage.close());
  const { primary } = stage.postgres;
  const { username, password, pathname } = new URL(primary.url);
  const host = await mkdtemp(join(tmpdir(), 'pg-'));
  closers.push(() => rm(host, { recursive: true }));
  const relay = await openSocketTo(primary, host);
  const pool = openPool({
    host,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1),
  });
  const watcher = openPool({ connectionString: primary.url });
  const running = async (): Promise<number | null> =>
    (await watcher.query("select 1 from pg_stat_activity where query like 'select pg_sleep%'"))
      .rowCount;
  const client = await pool.connect();
  const slow = client.query('select pg_sleep(30)').then(() => 'done', String);
  while ((await running()) === 0) await sleep(systemClock, POLL_MS);
  client.release(true);
  expect(await slow).not.toBe('done');
  while ((await running()) !== 0) await sleep(systemClock, POLL_MS);

  await relay.close();
  const refused = openPool({ host, connectionTimeoutMillis: 500 });
  await expect(refused.query('select 1')).rejects.toMatchObject({ cause: { code: 'ENOENT' } });
  const served = pool.query('select 1 as one');
  const again = await openSocketTo(primary, host);
  closers.push(() => again.close());
  expect((await served).rows).toEqual([{ one: 1 }]);
  await pool.end();
});
