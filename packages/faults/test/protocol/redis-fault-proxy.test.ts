import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { closeAfterTest } from '../close-after-test.ts';
import { Redis } from 'ioredis';
import { type RedisFaultProxy, type RedisErrorKind, createRedisFaultProxy } from '@holdfast/faults';
import { fate } from '../servers.ts';
import { type ScriptedRedis, openScriptedRedis } from './scripted-redis.ts';

let server: ScriptedRedis;
let proxy: RedisFaultProxy;
let client: Redis;

beforeEach(async () => {
  server = await openScriptedRedis();
  proxy = await createRedisFaultProxy({ target: { port: server.port }, seed: 6 });
  client = new Redis({
    host: proxy.host,
    port: proxy.port,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
  });
  client.on('error', () => {});
});
afterEach(async () => {
  client.disconnect();
  await proxy.close();
  server.close();
});

const refusals: [RedisErrorKind, string][] = [
  ['OOM', "OOM command not allowed when used memory > 'maxmemory'."],
  ['READONLY', "READONLY You can't write against a read only replica."],
  ['LOADING', 'LOADING Redis is loading the dataset in memory'],
  ['MISCONF', 'MISCONF Redis is configured to save RDB snapshots'],
  ['NOAUTH', 'NOAUTH Authentication required.'],
  ['CLUSTERDOWN', 'CLUSTERDOWN The cluster is down'],
  ['BUSY', 'BUSY Redis is busy running a script.'],
];

test.each(refusals)(
  '%s refuses a write with the error of Redis, and Redis does not receive it',
  async (word, words) => {
    await client.set('key', 'before');
    proxy.faults.set(word);
    await expect(client.set('key', 'after')).rejects.toMatchObject({
      name: 'ReplyError',
      message: expect.stringContaining(words),
    });
    proxy.heal();
    expect(await client.get('key')).toBe('before');
    expect(proxy.getStats().injected).toEqual({ [word]: 1 });
  },
);

test('a refusal of writes lets reads pass', async () => {
  await client.set('key', 'value');
  for (const word of ['OOM', 'READONLY', 'MISCONF'] as const) proxy.faults.set(word);
  expect(await client.get('key')).toBe('value');
});

test("MOVED and ASK name the slot of the key and an address, by default the proxy's own", async () => {
  proxy.faults.set('MOVED');
  const here = `${proxy.host}:${proxy.port}`;
  await expect(client.get('foo')).rejects.toThrow(`MOVED 12182 ${here}`);
  proxy.heal();
  proxy.faults.set('ASK', { to: { host: '10.0.0.7', port: 7_000 } });
  await expect(client.get('foo')).rejects.toThrow('ASK 12182 10.0.0.7:7000');
});

test('commands are chosen by name and by count', async () => {
  proxy.faults.set('READONLY', { commands: ['GET'], times: 2 });
  await client.set('key', 'value');
  await expect(client.get('key')).rejects.toThrow('READONLY');
  await expect(client.get('key')).rejects.toThrow('READONLY');
  expect(await client.get('key')).toBe('value');
});

test('replies of a pipeline keep the order of its commands, from the proxy or the server', async () => {
  proxy.faults.set('OOM', { probability: 0.5 });
  const pipeline = client.pipeline();
  for (let index = 0; index < 200; index += 1)
    pipeline.set(`key${index}`, index).get(`key${index}`);
  const outcomes = (await pipeline.exec()) ?? [];
  expect(outcomes).toHaveLength(400);
  const numbers = Array.from({ length: 200 }, (_, index) => index);
  const isRefused = (index: number): boolean => outcomes[2 * index]?.[0] !== null;
  expect(numbers.map((index) => outcomes[2 * index + 1]?.[1])).toEqual(
    numbers.map((index) => (isRefused(index) ? null : String(index))),
  );
  const refused = numbers.filter(isRefused).length;
  expect(refused).toBe(proxy.getStats().injected.OOM);
  expect(refused).toBeGreaterThan(50);
  expect(refused).toBeLessThan(150);
});

test('a transaction with a refused command is refused as a whole, and none of it is executed', async () => {
  proxy.faults.set('OOM', { times: 1 });
  await client.multi({ pipeline: false });
  await expect(client.set('one', 1)).rejects.toThrow('OOM');
  await client.set('two', 2);
  await expect(client.exec()).rejects.toThrow(
    'EXECABORT Transaction discarded because of previous errors.',
  );
  expect(server.asked).toContain('discard');
  expect(await client.get('two')).toBeNull();
});

test('a refused EXEC discards its transaction and reports the reason', async () => {
  await client.multi({ pipeline: false });
  await client.set('one', 1);
  proxy.faults.set('READONLY', { commands: ['exec'] });
  await expect(client.exec()).rejects.toThrow(
    "EXECABORT Transaction discarded because of: READONLY You can't write",
  );
  expect(await client.get('one')).toBeNull();
});

test('after a subscription everything passes unchanged', async () => {
  await client.set('key', 'value');
  proxy.faults.set('NOAUTH', { commands: ['get'] });
  await expect(client.get('key')).rejects.toThrow('NOAUTH');
  void client.call('monitor').catch(() => {});
  expect(await client.get('key')).toBe('value');
});

test('equal seeds refuse the same commands of a connection', async () => {
  const outcomes = async (seed: number): Promise<string> => {
    const other = closeAfterTest(
      await createRedisFaultProxy({ target: { port: server.port }, seed }),
    );
    other.faults.set('BUSY', { commands: ['get'], probability: 0.3 });
    const redis = new Redis({ host: other.host, port: other.port, enableReadyCheck: false });
    for (let index = 0; index < 50; index += 1) await redis.get('key').catch(() => null);
    redis.disconnect();
    return other.decisions().hash;
  };
  expect(await outcomes(1)).toBe(await outcomes(1));
  expect(await outcomes(1)).not.toBe(await outcomes(2));
});

test('invalid options, unknown errors, remote targets and closed proxies are refused', async () => {
  const faults: { set(word: string, options: object): void } = proxy.faults;
  const refusal = (field: string): unknown =>
    expect.objectContaining({ code: 'INVALID_OPTION', field });
  expect(() => faults.set('OOM', { probability: 2 })).toThrow(refusal('probability'));
  expect(() => faults.set('OOM', { commands: [] })).toThrow(refusal('commands'));
  expect(() => faults.set('OOM', { to: { host: 'a', port: 1 } })).toThrow(refusal('to'));
  expect(() => faults.set('METEOR', {})).toThrow(refusal('kind'));
  const elsewhere = createRedisFaultProxy({ target: { host: '192.0.2.1', port: 6_379 } });
  await expect(elsewhere).rejects.toMatchObject({ code: 'FAULTS_REMOTE_TARGET' });
  await Promise.all([proxy.close(), proxy.close()]);
  expect(() => faults.set('OOM', {})).toThrow(
    expect.objectContaining({ code: 'FAULTS_PROXY_CLOSED' }),
  );
});

test('a client of a stopped Redis gets a reset', async () => {
  const gone = await openScriptedRedis();
  gone.close();
  const before = closeAfterTest(await createRedisFaultProxy({ target: { port: gone.port } }));
  expect(await fate(connect({ host: before.host, port: before.port }))).toBe('ECONNRESET');
  expect(before.getStats().connectionsBroken).toBe(1);
});
