import { expect, test } from '@jest/globals';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { once } from 'node:events';
import { createResilienceStack } from '@holdfast/resilience';
import { sql as drizzleSql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { type Config, usePoolStage } from './open-pool.ts';

const stage = usePoolStage();

type OpenPool = ReturnType<typeof stage.open>;

/** A way to the server on which the reply to the first message with `text` is lost. */
class Cut {
  readonly #server: Server;
  #isArmed = true;

  constructor(text: string, isSilent: boolean) {
    const to = new URL(stage.server.url);
    this.#server = createServer((caller: Socket) => {
      const upstream = connect(Number(to.port), to.hostname);
      let isLost = false;
      for (const socket of [caller, upstream]) socket.on('error', () => undefined);
      caller.on('data', (data) => {
        if (this.#isArmed && data.includes(text)) {
          this.#isArmed = false;
          isLost = true;
        }
        upstream.write(data);
      });
      upstream.on('data', (data) => {
        if (!isLost) caller.write(data);
        else if (!isSilent) caller.resetAndDestroy();
      });
      caller.on('close', () => upstream.destroy());
      upstream.on('close', () => caller.destroy());
    });
  }

  async open(config: Config = {}): Promise<OpenPool> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const url = new URL(stage.server.url);
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('it has no port');
    url.hostname = '127.0.0.1';
    url.port = String(address.port);
    return stage.open({ connectionString: url.href, max: 2, ...config });
  }

  close(): void {
    this.#server.close();
  }
}

const INSERT = "insert into lost values ('a')";

function settle(error: unknown, resolve: () => void, reject: (error: unknown) => void): void {
  if (error === undefined || error === null) resolve();
  else reject(error);
}

const callers: readonly [string, (pool: OpenPool) => Promise<unknown>][] = [
  ['pool.query', (pool) => pool.query(INSERT)],
  [
    'pool.query with a callback',
    (pool) =>
      new Promise((resolve, reject) => {
        pool.query(INSERT, (error: unknown, result: unknown) =>
          settle(error, () => resolve(result), reject),
        );
      }),
  ],
  [
    'client.query',
    async (pool) => {
      const client = await pool.connect();
      return client.query(INSERT).finally(() => client.release());
    },
  ],
  [
    'client.query with a callback, as knex calls it',
    async (pool) => {
      const client = await pool.connect();
      return new Promise((resolve, reject) => {
        client.query(INSERT, (error: unknown, result: unknown) => {
          client.release();
          settle(error, () => resolve(result), reject);
        });
      });
    },
  ],
  ['drizzle', (pool) => drizzle(pool).execute(drizzleSql.raw(INSERT))],
  [
    'a transaction of drizzle',
    (pool) => drizzle(pool).transaction((tx) => tx.execute(drizzleSql.raw(INSERT))),
  ],
  [
    'Kysely',
    (pool) => {
      const db = new Kysely<never>({ dialect: new PostgresDialect({ pool }) });
      return sql.raw(INSERT).execute(db);
    },
  ],
  [
    'a transaction of Kysely',
    (pool) => {
      const db = new Kysely<never>({ dialect: new PostgresDialect({ pool }) });
      return db.transaction().execute((tx) => sql.raw(INSERT).execute(tx));
    },
  ],
];

const losses: readonly [string, boolean, Config][] = [
  ['reset', false, {}],
  ['silent', true, { query_timeout: 150 }],
];

/** By drizzle. */
function isWrapped(error: unknown): error is Error {
  return error instanceof Error && error.cause !== undefined;
}

const cases = callers.flatMap(([name, call]) =>
  losses.map(([loss, isSilent, config]) => [name, loss, isSilent, config, call] as const),
);

test.each(cases)(
  '%s under a stack writes no row twice when the reply is lost: %s',
  async (name, _, isSilent, config, call) => {
    const direct = stage.open();
    await direct.query('drop table if exists lost; create table lost (value text)');
    const cut = new Cut(name.startsWith('a transaction') ? 'commit' : 'insert', isSilent);
    const pool = await cut.open(config);
    const stack = createResilienceStack({ retry: { initialDelayMs: 1 } });
    let attempts = 0;
    const caught = await stack
      .execute(() => {
        attempts += 1;
        return call(pool);
      })
      .catch((error: unknown) => error);
    cut.close();
    // A silent server does not end what its caller has left.
    await pool.holdfast.close({ deadlineMs: 50 });
    const pgError: unknown = isWrapped(caught) ? caught.cause : caught;
    expect(pgError).toMatchObject({ outcome: 'unknown', retryable: false });
    expect(attempts).toBe(1);
    const { rows } = await direct.query('select count(*)::int as count from lost');
    expect(rows).toEqual([{ count: 1 }]);
  },
);

test('the error of a lost reply is else that of pg', async () => {
  const cut = new Cut('select 2', false);
  const pool = await cut.open();
  const lost = await pool.query('select 2').catch((error: unknown) => error);
  cut.close();
  const fields = { code: 'ECONNRESET', errno: expect.any(Number), syscall: 'read' };
  expect(lost).toMatchObject({ ...fields, outcome: 'unknown', message: 'read ECONNRESET' });
});

test('errors of the server are as the server sent them', async () => {
  const pool = stage.open();
  const refused = await pool.query('select nonsense').catch((error: unknown) => error);
  expect(refused).not.toHaveProperty('outcome');
});
