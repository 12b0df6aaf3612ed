import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { type PostgresFaultProxy, createPostgresFaultProxy } from '@holdfast/faults';
import { parseStatement } from '../../src/protocol/postgres/sql-statement.ts';
import { portOf } from '../servers.ts';

test.each([
  ['  -- first\n/* then */ (SELECT 1)', 'select'],
  ['with gone as (delete from a returning *) select * from gone', 'delete'],
  ['WITH x AS (SELECT 1) SELECT * FROM x', 'select'],
  [';', ''],
  ['commit', 'commit'],
  ['/* a /* nested */ comment */ update a', 'update'],
  [
    'with names as (select \'delete from a\', $$insert$$, "merge" /* update */) table names',
    'select',
  ],
  ["'literal; insert' -- nothing", ''],
  ["e'it\\'s'; delete from a", 'delete'],
  ['/* never closed', ''],
])('%j begins with %j', (sql, verb) => {
  expect(parseStatement(sql).verb).toBe(verb);
});

test('the words of each statement are read, and none inside quotes', () => {
  const sql = 'begin; select \'a;b\', $x$ ; drop $x$, "c;d"; ; insert into a values ($1); commit';
  expect(parseStatement(sql).verbs).toEqual(['begin', 'select', 'insert', 'commit']);
});

/** A server that accepts and is silent, which is enough for what the proxy refuses at the start. */
let server: Server;
let proxy: PostgresFaultProxy;
const accepted: Socket[] = [];

beforeEach(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {});
    accepted.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await createPostgresFaultProxy({ target: { port: portOf(server) } });
});
afterEach(async () => {
  await proxy.close();
  for (const socket of accepted.splice(0)) socket.destroy();
  server.close();
});

const clientOf = (): Client => {
  const client = new Client({ host: proxy.host, port: proxy.port, user: 'postgres' });
  client.on('error', () => {});
  return client;
};

test.each([
  ['57P03', 'the database system is starting up'],
  ['53300', 'sorry, too many clients already'],
] as const)('%s refuses a connection at its start and closes it', async (word, words) => {
  proxy.faults.set(word);
  const refused = clientOf().connect();
  await expect(refused).rejects.toMatchObject({ code: word, severity: 'FATAL', message: words });
  expect(proxy.getStats().injected).toEqual({ [word]: 1 });
});

test('a client that requests TLS gets the response that there is none', async () => {
  const client = new Client({
    host: proxy.host,
    port: proxy.port,
    ssl: { rejectUnauthorized: false },
  });
  await expect(client.connect()).rejects.toThrow('The server does not support SSL connections');
});

test('bytes that are not a start-up message reset only their own connection', async () => {
  const answer = fetch(`http://${proxy.host}:${proxy.port}/`);
  await expect(answer).rejects.toMatchObject({ cause: { code: expect.any(String) } });
  expect(proxy.getStats().connectionsBroken).toBe(1);
});

test('invalid options, unknown errors, remote targets and closed proxies are refused', async () => {
  const faults: { set(word: string, options: object): void } = proxy.faults;
  const refusal = (field: string): unknown =>
    expect.objectContaining({ code: 'INVALID_OPTION', field });
  expect(() => faults.set('40001', { probability: -1 })).toThrow(refusal('probability'));
  expect(() => faults.set('40001', { statements: 'update' })).toThrow(refusal('statements'));
  expect(() => faults.set('53300', { statements: ['update'] })).toThrow(refusal('statements'));
  expect(() => faults.set('42P01', {})).toThrow(refusal('kind'));
  const elsewhere = createPostgresFaultProxy({ target: { host: '192.0.2.1', port: 5_432 } });
  await expect(elsewhere).rejects.toMatchObject({ code: 'FAULTS_REMOTE_TARGET' });
  await proxy.close();
  expect(() => faults.set('40001', {})).toThrow(
    expect.objectContaining({ code: 'FAULTS_PROXY_CLOSED' }),
  );
});
