import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import {
  type FakePostgres,
  type FakePostgresOptions,
  createFakePostgres,
} from '@holdfast/emulators/postgres';
import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { Client } from 'pg';

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function open(options?: FakePostgresOptions): Promise<FakePostgres> {
  const server = await createFakePostgres(options);
  closing.push(() => server.close());
  return server;
}

function clientOf({ url }: { url: string }): Client {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  closing.push(() => client.end().catch(() => undefined));
  return client;
}

async function connected(server: { url: string }): Promise<Client> {
  const client = clientOf(server);
  await client.connect();
  return client;
}

test('a client gets the rows of the script, with their types', async () => {
  const server = await open({
    script: [
      ['select * from jobs', { rows: [{ id: 7, name: 'a', done: false, at: null, big: 9n }] }],
      [/^insert into jobs/i, { command: 'INSERT 0 3' }],
    ],
  });
  const client = await connected(server);
  const { rows } = await client.query('SELECT *  FROM jobs;');
  expect(rows).toEqual([{ id: 7, name: 'a', done: false, at: null, big: '9' }]);
  const inserted = await client.query('insert into jobs values ($1), ($2), ($3)', [1, null, 'x']);
  expect(inserted).toMatchObject({ command: 'INSERT', rowCount: 3 });
  const [session] = server.sessions();
  expect(session?.parameters).toMatchObject({ user: 'fake', database: 'fake' });
  expect(session?.statements[1]?.values).toEqual(['1', null, 'x']);
});

test('a script may inspect a statement, and pass it to the next line', async () => {
  const server = await open({ script: [[/echo/, { rows: [{ said: 'other' }] }]] });
  const client = await connected(server);
  const remove = server.reply(/echo/, ({ values }) =>
    values[0] === 'mine' ? { rows: [{ said: values[0] }] } : undefined,
  );
  const ask = async (value: string): Promise<unknown> =>
    (await client.query('select echo($1)', [value])).rows[0];
  expect(await ask('mine')).toEqual({ said: 'mine' });
  expect(await ask('yours')).toEqual({ said: 'other' });
  remove();
  expect(await ask('mine')).toEqual({ said: 'other' });
});

test('a statement without a script line is an error that names it', async () => {
  const client = await connected(await open());
  const refused = client.query('select * from nowhere');
  await expect(refused).rejects.toMatchObject({
    code: '0A000',
    message: expect.stringContaining('nowhere'),
  });
  expect((await client.query('select 1')).rows).toEqual([{ '?column?': 1 }]);
});

test('a failed transaction rejects statements and answers COMMIT with ROLLBACK', async () => {
  const server = await open({ script: [[/duplicate/, { error: '23505' }]] });
  const client = await connected(server);
  await client.query('begin');
  await expect(client.query('insert duplicate')).rejects.toMatchObject({ code: '23505' });
  await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
  expect((await client.query('commit')).command).toBe('ROLLBACK');
  expect((await client.query('select 1')).rowCount).toBe(1);
});

test('after a rollback to a savepoint statements are accepted again', async () => {
  const server = await open({ script: [[/duplicate/, { error: '23505' }]] });
  const client = await connected(server);
  await client.query('begin; savepoint s');
  await expect(client.query('insert duplicate')).rejects.toMatchObject({ code: '23505' });
  await client.query('rollback to savepoint s');
  expect((await client.query('commit')).command).toBe('COMMIT');
});

test('several statements in one message are answered one by one, up to the first error', async () => {
  const server = await open({ script: [[/broken/, { error: '42601' }]] });
  const client = await connected(server);
  const results: unknown = await client.query('begin; commit; select pg_current_wal_insert_lsn()');
  expect(results).toMatchObject([
    { command: 'BEGIN' },
    { command: 'COMMIT' },
    { rows: [{ pg_current_wal_insert_lsn: '0/1000000' }] },
  ]);
  await expect(client.query('select 1; broken; select 2')).rejects.toMatchObject({ code: '42601' });
  expect(server.statements()).not.toContain('select 2');
});

test('after an error in the extended protocol messages are skipped until the next Sync', async () => {
  const server = await open({ script: [[/broken/, { error: '42601' }]] });
  const client = await connected(server);
  await expect(client.query('broken $1', [1])).rejects.toMatchObject({ code: '42601' });
  expect((await client.query('select $1::text as x', ['y'])).rows).toEqual([{ x: 'y' }]);
});

test('it reports its role, its timeline and the end of its log', async () => {
  const server = await open();
  const client = await connected(server);
  const ask = async (): Promise<unknown> => {
    const { rows } = await client.query(
      `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') as ro,
       left(pg_walfile_name('0/0'), 8) as timeline, pg_last_wal_replay_lsn()::text as replayed`,
    );
    return rows[0];
  };
  expect(await ask()).toEqual({ standby: false, ro: 'off', timeline: '00000001', replayed: null });
  server.setBehavior({ role: 'standby', timeline: 2, replayLsn: 'A/B0' });
  expect(await ask()).toEqual({ standby: true, ro: 'on', timeline: '00000002', replayed: 'A/B0' });
  await expect(client.query('insert into t values (1)')).rejects.toMatchObject({ code: '25006' });
  await expect(client.query('select pg_current_wal_lsn()')).rejects.toMatchObject({
    code: '55000',
  });
});

test('a password is requested and checked', async () => {
  const server = await open({ password: 'open sesame' });
  expect((await (await connected(server)).query('select 1')).rowCount).toBe(1);
  const wrong = clientOf({ url: `postgres://fake:guess@${server.host}:${server.port}/fake` });
  await expect(wrong.connect()).rejects.toMatchObject({ code: '28P01' });
});

test('a CancelRequest with the right key ends the statement under way, and no other', async () => {
  const server = await open({ script: [['select pg_sleep(60)', 'never']] });
  const [client, other] = [await connected(server), await connected(server)];
  const [asleep, alsoAsleep] = ['select pg_sleep(60)', 'select pg_sleep(60)'].map((sql, index) =>
    (index === 0 ? client : other).query(sql).then(
      () => 'answered',
      (error: { code: string }) => error.code,
    ),
  );
  await Promise.all([
    nextEvent(server, 'statement', { matches: ({ session }) => session === 1 }),
    nextEvent(server, 'statement', { matches: ({ session }) => session === 2 }),
  ]);
  const [{ processId } = { processId: 0 }] = server.sessions();
  await requestCancel(server, processId, 0);
  await requestCancel(server, processId, 7_919);
  expect(await asleep).toBe('57014');
  server.drop({ session: 2 });
  expect(await alsoAsleep).not.toBe('57014');
});

test('a server that ignores CancelRequests lets the statement go on', async () => {
  const server = await open({ behavior: { cancels: false } });
  const client = await connected(server);
  const gate = Promise.withResolvers<undefined>();
  server.reply('select slow()', async () => {
    await gate.promise;
    return { rows: [{ slow: 1 }] };
  });
  const slow = client.query('select slow()');
  await nextEvent(server, 'statement');
  await requestCancel(server, server.sessions()[0]?.processId ?? 0, 7_919);
  gate.resolve(undefined);
  expect((await slow).rows).toEqual([{ slow: 1 }]);
});

test.each([
  ['an error', { error: '57P03' }, { code: '57P03' }],
  ['FIN', 'fin', { message: expect.stringContaining('terminated') }],
  ['RST', 'reset', { code: 'ECONNRESET' }],
] as const)('a connection can be met by %s at its start', async (_, reception, seen) => {
  const server = await open({ behavior: { reception } });
  await expect(clientOf(server).connect()).rejects.toMatchObject(seen);
  server.setBehavior({ reception: 'serve' });
  expect((await (await connected(server)).query('select 1')).rowCount).toBe(1);
});

test('a connection can get no reply at all', async () => {
  const server = await open({ behavior: { reception: 'silent' } });
  const client = clientOf(server);
  const connecting = client.connect().catch((error: { code: string }) => error.code);
  await nextEvent(server, 'session');
  server.drop();
  expect(await connecting).toBe('ECONNRESET');
});

test('connections above the limit are rejected until one closes', async () => {
  const server = await open({ behavior: { maxConnections: 1 } });
  const first = await connected(server);
  await expect(clientOf(server).connect()).rejects.toMatchObject({ code: '53300' });
  const left = nextEvent(server, 'ended', { matches: ({ session }) => session === 1 });
  await first.end();
  await left;
  expect(server.sessions()[0]?.terminated).toBe(true);
  expect((await (await connected(server)).query('select 1')).rowCount).toBe(1);
});

test('a reply can be cut at each of its bytes, and never earlier', async () => {
  const server = await open({ script: [['select word', { rows: [{ word: 'holdfast' }] }]] });
  // RowDescription 30, DataRow 19, CommandComplete 14, ReadyForQuery 6.
  const replyBytes = 69;
  for (let at = 0; at <= replyBytes; at += 1) {
    const ending = at % 2 === 0 ? 'fin' : 'reset';
    const word = { rows: [{ word: 'holdfast' }], cutAfterBytes: at, ending } as const;
    const remove = server.reply('select word', word);
    const client = await connected(server);
    const asked = client.query('select word').then(
      () => 'answered',
      () => 'lost',
    );
    expect({ at, saw: await asked }).toEqual({ at, saw: at < replyBytes ? 'lost' : 'answered' });
    await expect(client.query('select 1')).rejects.toThrow(
      /terminated|ECONNRESET|EPIPE|not queryable/,
    );
    remove();
  }
  const client = await connected(server);
  expect((await client.query('select word')).rows).toEqual([{ word: 'holdfast' }]);
});

test('a delayed reply follows the clock', async () => {
  const clock = createFakeClock();
  const server = await open({ clock, script: [['select slow()', { rows: [], delayMs: 500 }]] });
  const client = await connected(server);
  const slow = client.query('select slow()');
  await nextEvent(server, 'statement');
  await clock.settle(slow.then(() => undefined));
  expect(clock.now()).toBe(500);
});

test('a frozen server reads nothing, and continues when it resumes', async () => {
  const server = await open();
  const client = await connected(server);
  server.setBehavior({ frozen: true });
  const asked = client.query('select 1');
  (await connectedSocket(server)).destroy();
  expect(server.statements()).toEqual([]);
  server.setBehavior({ frozen: false });
  expect((await asked).rowCount).toBe(1);
});

test('every session can be terminated, and the port can refuse and serve again', async () => {
  const server = await open();
  const clients = [await connected(server), await connected(server)];
  const errors = clients.map(async (client) => (await once(client, 'error'))[0]);
  server.terminate();
  expect(await Promise.all(errors)).toMatchObject([{ code: '57P01' }, { code: '57P01' }]);
  await server.stop();
  await expect(clientOf(server).connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await server.start();
  expect((await (await connected(server)).query('select 1')).rowCount).toBe(1);
});

test('a client understands replies that arrive in pieces', async () => {
  const server = await open({ script: [['select word', { rows: [{ word: 'holdfast' }] }]] });
  const proxy: FaultProxy = await createFaultProxy({
    target: { host: server.host, port: server.port },
  });
  closing.push(() => proxy.close());
  proxy.faults.set('slice', { sliceBytes: 3, jitterBytes: 2 });
  const client = await connected({ url: `postgres://fake@${proxy.host}:${proxy.port}/fake` });
  for (let round = 0; round < 5; round += 1) {
    expect((await client.query('select word')).rows).toEqual([{ word: 'holdfast' }]);
    expect((await client.query('select $1::text as x', ['y'])).rows).toEqual([{ x: 'y' }]);
  }
});

test('invalid behavior is rejected, and nothing changes', async () => {
  const server = await open();
  expect(() => server.setBehavior({ maxConnections: -1 })).toThrow(/maxConnections/);
  expect(() => server.setBehavior({ lsn: 'far' })).toThrow(/lsn/);
  expect(server.behavior.maxConnections).toBe(1_000);
});

async function connectedSocket({ port, host }: FakePostgres): Promise<ReturnType<typeof connect>> {
  const socket = connect(port, host);
  await once(socket, 'connect');
  return socket;
}

async function requestCancel(
  server: FakePostgres,
  processId: number,
  secret: number,
): Promise<void> {
  const heard = nextEvent(server, 'cancel');
  const socket = await connectedSocket(server);
  const bytes = Buffer.alloc(16);
  [16, 80_877_102, processId, secret].forEach((word, index) => bytes.writeInt32BE(word, index * 4));
  socket.end(bytes);
  await heard;
}
