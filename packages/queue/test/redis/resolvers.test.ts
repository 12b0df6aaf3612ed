import { type Server, createServer } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { requiredOptions } from '../../src/redis/connector.ts';
import { ClusterResolver } from '../../src/redis/resolver/cluster-resolver.ts';
import { majorityAnswer } from '../../src/redis/resolver/one-off-command.ts';
import { SentinelResolver } from '../../src/redis/resolver/sentinel-resolver.ts';
import { slotOfTopic } from '../../src/redis/resolver/slot.ts';
import { createFakeClock } from '@holdfast/foundation/testing';
import { BackendError } from '../../src/errors.ts';
import { Redis } from 'ioredis';

const say = (answer: string): Promise<string> => Promise.resolve(answer);
const silent = new Promise<string>(() => undefined);
const down = (): Promise<string> => Promise.reject(new BackendError('unreachable', 'refused'));

test('an answer of more than half is returned without waiting for the others', async () => {
  await expect(majorityAnswer([say('a'), silent, say('a')])).resolves.toBe('a');
  const late = new Promise<string>((resolve) => {
    setImmediate(() => resolve('new'));
  });
  await expect(majorityAnswer([say('old'), late, late])).resolves.toBe('new');
});

test('when some do not answer, the most frequent answer is returned', async () => {
  await expect(majorityAnswer([down(), down(), say('a')])).resolves.toBe('a');
});

test('when there is no answer, a rejection is reported rather than a timeout', async () => {
  const denied = Promise.reject(new BackendError('denied', 'NOAUTH'));
  await expect(majorityAnswer([down(), denied])).rejects.toMatchObject({
    errorClass: 'denied',
    message: expect.stringMatching(/NOAUTH/u),
  });
  const nobody = Promise.resolve(undefined);
  await expect(majorityAnswer([nobody])).rejects.toMatchObject({ errorClass: 'unreachable' });
});

const LOGIN = { username: undefined, password: undefined, tls: false };

test('a server that the Sentinels name is not used while it is demoted or not promoted yet', async () => {
  const route = new SentinelResolver({
    clock: createFakeClock(),
    connectTimeoutMs: 1,
    pingIntervalMs: 1,
    sentinels: [{ host: '127.0.0.1', port: 1 }],
    name: 'm',
    sentinelPassword: undefined,
    login: LOGIN,
    natMap: new Map(),
  });
  const client = new Redis({ lazyConnect: true, host: 'h', port: 1 });
  client.role = () => Promise.resolve(['slave', 'x', 1, 'connected', 1]);
  await expect(route.verify(client)).rejects.toMatchObject({
    errorClass: 'unreachable',
    message: 'Redis: h:1 is a slave, not the primary',
  });
  client.role = () => Promise.resolve(['master', 1, []]);
  await expect(route.verify(client)).resolves.toBeUndefined();

  // Without ROLE, the server is asked by INFO; without both, its replies to writes have to tell.
  for (const message of ['NOPERM no permissions to run role', "ERR unknown command 'ROLE'"]) {
    client.role = () => Promise.reject(replyError(message));
    client.call = () => Promise.resolve('# Replication\r\nrole:slave\r\n');
    await expect(route.verify(client)).rejects.toMatchObject({ errorClass: 'unreachable' });
    client.call = () => Promise.reject(replyError(message));
    await expect(route.verify(client)).resolves.toBeUndefined();
  }
  client.role = () => Promise.reject(replyError('LOADING'));
  await expect(route.verify(client)).rejects.toThrow('LOADING');
  client.disconnect();
});

function replyError(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}

/** A server that answers every command with this reply; closed after the test. */
async function replying(reply: string): Promise<{ host: string; port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write(reply));
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return { host: '127.0.0.1', port: address.port };
}

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

/** The reply of CLUSTER SLOTS with one node for all slots. */
function slots(host: string | undefined, port: number, ip?: string): string {
  const named = host === undefined ? '$-1\r\n' : bulk(host);
  const metadata = ip === undefined ? '*0\r\n' : `*2\r\n${bulk('ip')}${bulk(ip)}`;
  return `*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n${named}:${port}\r\n${bulk('id')}${metadata}`;
}

test.each<[string, string | undefined, string | undefined, string]>([
  ['a hostname', 'redis.example', undefined, 'redis.example:7'],
  ['no address', undefined, undefined, '127.0.0.1:7'],
  ['an empty address', '', undefined, '127.0.0.1:7'],
  ['an unknown hostname and an IP address', '?', '10.0.0.9', '10.0.0.9:7'],
  ['an address that natMap translates', '10.1.1.1', undefined, 'outside:8'],
  ['an IP address that natMap translates', '?', '10.1.1.1', 'outside:8'],
])('a cluster that tells %s is reached', async (_, host, ip, expected) => {
  const node = await replying(slots(host, 7, ip));
  const client = await clusterResolver(node).createClient(requiredOptions(1_000));
  expect(`${client.options.host}:${client.options.port}`).toBe(expected);
  client.disconnect();
});

test('a cluster that knows no address of a node is refused with the way out', async () => {
  const node = await replying(slots('?', 7));
  await expect(clusterResolver(node).createClient(requiredOptions(1_000))).rejects.toMatchObject({
    errorClass: 'denied',
    message: expect.stringMatching(/cluster-announce-hostname/u),
  });
});

function clusterResolver(node: { host: string; port: number }): ClusterResolver {
  const natMap = new Map([['10.1.1.1:7', { host: 'outside', port: 8 }]]);
  const options = { clock: systemClock, connectTimeoutMs: 1_000, pingIntervalMs: 1_000 };
  return new ClusterResolver({ ...options, login: LOGIN, natMap, known: [node] }, 5);
}

test.each([
  ['123456789', 12_739],
  ['foo', 12_182],
])('the topic %s has the slot that a cluster gives it', (topic, slot) => {
  expect(slotOfTopic(topic)).toBe(slot);
});
