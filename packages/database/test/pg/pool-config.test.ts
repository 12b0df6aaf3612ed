import { expect, test } from '@jest/globals';
import { connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from 'pg';
import { Pool } from '@holdfast/database/pg';
import { type Config, openPool, usePoolStage } from './open-pool.ts';

const stage = usePoolStage();

/** The server's own words for what a client asked of it at the start. */
async function setting(config: Config, name: string): Promise<unknown> {
  const pool = stage.open(config);
  const { rows } = await pool.query<Record<string, unknown>>(
    `select current_setting($1) as value`,
    [name],
  );
  return rows[0]?.['value'];
}

const settings: readonly [Config, string, string][] = [
  [{ statement_timeout: 1_234 }, 'statement_timeout', '1234ms'],
  [{ lock_timeout: 2_345 }, 'lock_timeout', '2345ms'],
  [{ idle_in_transaction_session_timeout: 3_456 }, 'idle_in_transaction_session_timeout', '3456ms'],
  [{ options: '-c work_mem=7MB' }, 'work_mem', '7MB'],
  [{ application_name: 'own' }, 'application_name', 'own'],
  [{ fallback_application_name: 'other' }, 'application_name', 'other'],
  [{}, 'application_name', ''],
  [{}, 'statement_timeout', '0'],
];

test.each(settings)('%j arrives at the server', async (config, name, value) => {
  expect(await setting(config, name)).toBe(value);
});

test('parts of the address come from options and from the environment, as in pg', async () => {
  const { hostname, port, username, password, pathname } = new URL(stage.server.url);
  const names = ['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE', 'PGAPPNAME'];
  const before = names.map((name) => process.env[name]);
  const values = [hostname, port, username, decodeURIComponent(password), pathname.slice(1), 'env'];
  for (const [at, name] of names.entries()) process.env[name] = values[at];
  const pools = [
    new Pool(),
    new Pool({ host: hostname, port: Number(port), user: username, database: pathname.slice(1) }),
  ];
  try {
    for (const pool of pools) {
      const { rows } = await pool.query("select current_setting('application_name') as name");
      expect(rows).toEqual([{ name: 'env' }]);
      await pool.end();
    }
  } finally {
    for (const [at, name] of names.entries()) {
      if (before[at] === undefined) delete process.env[name];
      else process.env[name] = before[at];
    }
  }
});

test('types and binary reach the clients; a password may be a function, asked for each of them', async () => {
  const types = { getTypeParser: () => () => 'parsed' };
  const typed = stage.open({ types });
  expect((await typed.query('select 1 as one')).rows).toEqual([{ one: 'parsed' }]);

  const binary = stage.open({ binary: true });
  const client = await binary.connect();
  expect(client).toMatchObject({ binary: true });
  client.release();

  const url = new URL(stage.server.url);
  const secret = decodeURIComponent(url.password);
  url.password = '';
  let asked = 0;
  const pool = stage.open({
    connectionString: url.href,
    password: async () => {
      asked += 1;
      return secret;
    },
  });
  const clients = [await pool.connect(), await pool.connect()];
  // A server that trusts everyone asks for no password.
  expect(asked === 2 || asked === 0).toBe(true);
  for (const each of clients) each.release();
});

test('a stream of one’s own carries the connection', async () => {
  let made = 0;
  const pool = stage.open({
    stream: () => {
      made += 1;
      const { host, port } = stage.server;
      const socket = connectTcp({ host, port });
      // pg connects what it is given.
      socket.connect = () => socket;
      return socket;
    },
  });
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(made).toBe(1);
});

test('onConnect and verify run once for each new client, before anyone has it', async () => {
  const order: string[] = [];
  const pool = stage.open({
    max: 1,
    onConnect: async (client: Client) => {
      await client.query("set application_name = 'prepared'");
      order.push('onConnect');
    },
    verify: (_client: unknown, done: () => void) => {
      order.push('verify');
      done();
    },
  });
  pool.on('connect', (client) => {
    order.push('connect');
    void client.query('set work_mem = 8192');
  });
  for (let turn = 0; turn < 2; turn += 1) {
    const { rows } = await pool.query(
      "select current_setting('application_name') as name, current_setting('work_mem') as mem",
    );
    expect(rows).toEqual([{ name: 'prepared', mem: '8MB' }]);
  }
  expect(order).toEqual(['onConnect', 'connect', 'verify']);
});

test.each(['onConnect', 'verify', 'connect'] as const)(
  'a failure of %s is the error of one caller, as it was thrown',
  async (hook) => {
    let failures = 2;
    const failure = Object.assign(new Error('not today'), { code: '40001' });
    const fails = (): boolean => (failures -= 1) >= 0;
    const hooks: Config = {
      onConnect: () => {
        if (hook === 'onConnect' && fails()) throw failure;
      },
      verify: (_client: unknown, done: (error?: Error) => void) =>
        done(hook === 'verify' && fails() ? failure : undefined),
    };
    const pool = stage.open({ max: 1, ...hooks });
    pool.on('connect', () => {
      if (hook === 'connect' && fails()) throw failure;
    });
    let removed = 0;
    pool.on('remove', () => (removed += 1));
    const calls = await Promise.allSettled([1, 2, 3, 4].map(() => pool.query('select 1')));
    expect(calls.map(({ status }) => status).toSorted()).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    const reasons = calls.filter((call) => call.status === 'rejected').map(({ reason }) => reason);
    expect(reasons).toEqual([failure, failure]);
    expect(pool.totalCount).toBe(1);
    // Only what was announced is removed.
    expect(removed).toBe(hook === 'onConnect' ? 0 : 2);
  },
);

test('max is 10 without one, and poolSize and text from the environment count', async () => {
  const most = async (config: Config): Promise<number> => {
    const pool = stage.open(config);
    await Promise.all(Array.from({ length: 20 }, () => pool.query('select pg_sleep(0.01)')));
    return pool.totalCount;
  };
  expect(await most({})).toBe(10);
  expect(await most({ max: 0 })).toBe(10);
  expect(await most({ poolSize: 3 })).toBe(3);
  expect(await most({ max: '4' })).toBe(4);
});

test('nobody’s query has a limit that nobody asked for; a wait ends when it was asked to', async () => {
  const pool = stage.open({ max: 1 }, { queryTimeoutMs: 20, acquireTimeoutMs: undefined });
  const slow = [pool.query('select pg_sleep(0.1)'), pool.query('select pg_sleep(0.1)')];
  await expect(Promise.all(slow)).resolves.toHaveLength(2);

  const hasty = stage.open({ max: 1, connectionTimeoutMillis: 500 });
  const client = await hasty.connect();
  await expect(hasty.query('select 1')).rejects.toMatchObject({
    code: 'DATABASE_ACQUIRE_TIMEOUT',
    message: expect.stringMatching(/^timeout exceeded when trying to connect/),
  });
  client.release();
});

test('a caller waits for a server that is away, and then gets the error of the socket', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await new Promise((resolve) => server.close(resolve));
  const away = { connectionString: `postgres://u:p@127.0.0.1:${port}/d` };
  const pool = stage.open({ ...away, connectionTimeoutMillis: 500 });
  await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  const socket = stage.open({
    host: join(tmpdir(), 'nowhere'),
    connectionString: undefined,
    connectionTimeoutMillis: 500,
  });
  await expect(socket.connect()).rejects.toMatchObject({
    code: 'ECONNREFUSED',
    cause: { code: 'ENOENT' },
  });
  const wrong = stage.open({ connectionString: stage.server.url.replace(/\/[^/]*$/, '/missing') });
  await expect(wrong.query('select 1')).rejects.toMatchObject({ code: '3D000', severity: 'FATAL' });
});

test('log, Promise and Client are used as in pg', async () => {
  const lines: unknown[] = [];
  class OwnPromise<T> extends Promise<T> {}
  class OwnClient extends Client {}
  const pool = stage.open({
    log: (line: unknown) => lines.push(line),
    Promise: OwnPromise,
    Client: OwnClient,
    maxUses: 1,
  });
  const connected = pool.connect();
  expect(connected).toBeInstanceOf(OwnPromise);
  const client = await connected;
  expect(client).toBeInstanceOf(OwnClient);
  client.release();
  const queried: unknown = pool.query('select 1');
  expect(queried).toBeInstanceOf(OwnPromise);
  await queried;
  expect(lines).toContain('remove expended client');
});

const refused: readonly [Config, string][] = [
  [{ max: -1 }, 'max'],
  [{ max: 'many' }, 'max'],
  [{ min: Number.NaN }, 'min'],
  [{ idleTimeoutMillis: -5 }, 'idleTimeoutMillis'],
  [{ connectionTimeoutMillis: 'soon' }, 'connectionTimeoutMillis'],
  [{ maxUses: 0.5 }, 'maxUses'],
  [{ maxLifetimeSeconds: -1 }, 'maxLifetimeSeconds'],
  [{ onConnect: 'x' }, 'onConnect'],
  [{ verify: 1 }, 'verify'],
  [{ log: true }, 'log'],
  [{ Promise: 'native' }, 'Promise'],
  [{ Client: {} }, 'Client'],
  [{ stream: {} }, 'stream'],
  [{ connection: new Connection() }, 'connection'],
  [{ port: 70_000, connectionString: undefined }, 'port'],
  [{ ssl: 'sometimes' }, 'ssl'],
  [{ sslnegotiation: 'direct', connectionString: undefined }, 'sslnegotiation'],
  [{ query_timeout: 'long' }, 'query_timeout'],
  [{ connectionString: 'postgres://u:1#topsecret@h:1/d' }, 'connectionString'],
  [{ connectionString: 'postgres://u:p@h:1/d?ssl=false' }, 'ssl'],
  [{ connectionString: 'postgres://u:topsecret#x@h:1/d' }, 'connectionString'],
];

test.each(refused)('%# is refused with its field', (config, field) => {
  let thrown: unknown;
  try {
    openPool({ connectionString: stage.server.url, ...config });
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'INVALID_OPTION', field });
  expect(String(thrown)).not.toContain('topsecret');
});

test('a client that is not derived from that of pg is refused when it has connected', async () => {
  const pool = stage.open({
    Client: class {
      connect(done: () => void): void {
        done();
      }
    },
  });
  await expect(pool.connect()).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'Client' });
});

test('the ssl option is not weakened by the URL, of one host or of several', async () => {
  const url = new URL(stage.server.url);
  url.searchParams.set('sslmode', 'disable');
  const pool = stage.open({ connectionString: url.href, ssl: { rejectUnauthorized: true } });
  await expect(pool.query('select 1')).rejects.toThrow('does not support SSL');
  const config = { connectionString: undefined, ssl: { rejectUnauthorized: true } };
  const cluster = stage.open(config, { hosts: [url.href] });
  await expect(cluster.query('select 1')).rejects.toThrow('does not support SSL');
});

test.each(['mysql://a:hunter2@h/x', 'redis://h', 'http://h/x', 'MongoDB+srv://a:hunter2@h'])(
  '%s is the URL of another system: refused',
  (connectionString) => {
    const error = { code: 'INVALID_OPTION', field: 'connectionString' };
    expect(() => openPool({ connectionString })).toThrow(expect.objectContaining(error));
    expect(() => openPool({ connectionString })).not.toThrow(/hunter2/);
  },
);
