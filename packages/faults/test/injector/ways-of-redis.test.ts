import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { type ChaosFaultInjector, createChaosFaultInjector } from '@holdfast/faults';
import { Cluster, Command, Redis } from 'ioredis';
import { closeAfterTest } from '../close-after-test.ts';
import { type ScriptedRedis, openScriptedRedis } from '../protocol/scripted-redis.ts';
import { emitter, methodsOf, struck } from './ways.ts';

const streams = ['scan', 'sscan', 'hscan', 'zscan'].flatMap((name) => [
  `${name}Stream`,
  `${name}BufferStream`,
]);
/** Ways that are struck, besides the commands. */
const otherCommands = ['call', 'callBuffer', 'send_command', 'sendCommand'];
/** Ways whose result is struck. */
const leading = ['multi', 'multiBuffer', 'pipeline', 'duplicate', 'nodes', ...streams];
/** Ways that send no command of the caller's: the connection, its end and what the client does for itself. */
const others = [
  'connect',
  '_connect',
  'disconnect',
  'end',
  'quit',
  'quitBuffer',
  'monitor',
  'getBuiltinCommands',
  'createBuiltinCommand',
  'addBuiltinCommand',
  'defineCommand',
  'createScanStream',
  'setStatus',
  'flushQueue',
  'resetOfflineQueue',
  'handleError',
];
const ofRedis = [
  'getBlockingTimeoutInMs',
  'getConfiguredBlockingTimeout',
  'setSocketTimeout',
  'silentEmit',
  'recoverFromFatalError',
  'handleReconnection',
  '_getServerAddress',
  '_buildCommandContext',
  '_buildBatchContext',
  '_getDescription',
  'resetCommandQueue',
  'parseOptions',
  '_readyCheck',
];
const ofCluster = [
  'delayUntilReady',
  'refreshSlotsCache',
  'clearNodesRefreshInterval',
  'natMapper',
  'resetNodesRefreshInterval',
  'handleCloseEvent',
  'executeOfflineCommands',
  'readyCheck',
  'getInfoFromNode',
  'invokeReadyDelayedCallbacks',
  'resolveSrv',
  'dnsLookup',
  'resolveStartupNodeHostnames',
  'createShardedSubscriberGroup',
];

const unstruck = new Set(['quit', 'multi', 'pipeline', 'monitor']);
const commandsOf = (client: Redis | Cluster): string[] =>
  client
    .getBuiltinCommands()
    .flatMap((name) => (unstruck.has(name) ? [] : [name, `${name}Buffer`]));

interface Stand {
  readonly chaos: ChaosFaultInjector;
  readonly server: ScriptedRedis;
  readonly raw: Redis;
  readonly client: Redis;
  /** What the server was asked since the fault was set. */
  readonly asked: () => string[];
}

async function stand(): Promise<Stand> {
  const server = await openScriptedRedis();
  const raw = new Redis({ port: server.port, enableReadyCheck: false, keyPrefix: '' });
  closeAfterTest({
    [Symbol.asyncDispose]: async () => {
      raw.disconnect();
      server.close();
    },
  });
  const chaos = createChaosFaultInjector(true, { seed: 7 });
  const client = chaos.wrapRedis(raw);
  await client.set('a', '1');
  const before = server.asked.length;
  chaos.configureFault('network_failure');
  return { chaos, server, raw, client, asked: () => server.asked.slice(before) };
}

test('every method of the client is in a table: what it gains, someone decides about', () => {
  const redis = new Redis({ lazyConnect: true });
  const cluster = new Cluster([{ port: 1 }], { lazyConnect: true });
  const common = [...otherCommands, ...leading, ...others, ...emitter];
  const unknown = (client: Redis | Cluster, own: readonly string[]): string[] => {
    const known = new Set([...common, ...own, ...commandsOf(client)]);
    return [...methodsOf(client)].filter((name) => !known.has(name));
  };
  expect(unknown(redis, ofRedis)).toEqual([]);
  expect(unknown(cluster, ofCluster)).toEqual([]);
});

test('every command is struck, as a promise and with a callback', async () => {
  const { raw, client, asked } = await stand();
  for (const name of commandsOf(raw)) {
    const command: any = Reflect.get(client, name);
    await expect(command('a')).rejects.toMatchObject(struck);
    const seen = await new Promise((resolve) => command('a', resolve));
    expect(seen).toMatchObject(struck);
  }
  expect(asked()).toEqual([]);
});

const ways: Record<string, (client: Redis, raw: Redis) => unknown> = {
  call: (client) => client.call('get', 'a'),
  callBuffer: (client) => client.callBuffer('get', 'a'),
  send_command: (client: any) => client.send_command('get', 'a'),
  sendCommand: (client) => client.sendCommand(new Command('get', ['a'])),
  'the promise of a command that was sent': async (client) => {
    const command = new Command('get', ['a']);
    await Promise.allSettled([client.sendCommand(command)]);
    return command.promise;
  },
  'a command that is defined on the wrapper': (client: any) => {
    client.defineCommand('mine', { numberOfKeys: 1, lua: 'return 1' });
    return client.mine('a');
  },
  'its form for buffers': (client: any) => {
    client.defineCommand('mine', { numberOfKeys: 1, lua: 'return 1' });
    return client.mineBuffer('a');
  },
  'a command that is defined on the client': (client: any, raw) => {
    raw.defineCommand('ours', { numberOfKeys: 1, lua: 'return 1' });
    return client.ours('a');
  },
  addBuiltinCommand: (client: any) => {
    client.addBuiltinCommand('newest');
    return client.newest('a');
  },
  duplicate: async (client) => {
    const other = client.duplicate();
    try {
      return await other.get('a');
    } finally {
      other.disconnect();
    }
  },
  'on, chained': (client) => client.on('wait', () => {}).get('a'),
  'a pipeline, chained': (client) => client.pipeline().set('a', 2).get('a').exec(),
  'a pipeline of a list': (client) => client.pipeline([['get', 'a']]).exec(),
  'multi, chained': (client) => client.multi().set('a', 2).exec(),
  'multi of a list': (client) => client.multi([['get', 'a']]).exec(),
  'multi without a pipeline': (client) => client.multi({ pipeline: false }),
  'the callback of a command in a pipeline': (client) =>
    new Promise((_, reject) => {
      client
        .pipeline()
        .get('a', (error) => reject(error))
        .exec()
        .catch(() => {});
    }),
  subscribe: (client) => client.subscribe('news'),
  psubscribe: (client) => client.psubscribe('n*'),
  ssubscribe: (client) => client.ssubscribe('news'),
  publish: (client) => client.publish('news', 'text'),
  'a method taken off the client': (client: any) => {
    const { get } = client;
    return get('a');
  },
  ...Object.fromEntries(
    streams.map((name) => [
      name,
      async (client: any) => {
        const found: unknown[] = [];
        for await (const keys of client[name]('a')) found.push(keys);
        if (found.length !== 1) throw new Error('a stream without keys');
      },
    ]),
  ),
};

test.each(Object.keys(ways))('struck, with nothing sent: %s', async (name) => {
  const { client, raw, asked } = await stand();
  await expect((async () => ways[name]?.(client, raw))()).rejects.toMatchObject(struck);
  expect(asked()).toEqual([]);
});

test('without a fault the same ways work', async () => {
  const { chaos, client, raw } = await stand();
  chaos.clear();
  const working = Object.keys(ways).filter((name) => !/subscribe|callback|without/.test(name));
  for (const name of working)
    await expect((async () => ways[name]?.(client, raw))()).resolves.not.toThrow();
  expect(client).toBeInstanceOf(Redis);
  expect(Reflect.get(client, 'get')).toBe(Reflect.get(client, 'get'));
});

test('a listener is called on the wrapper, once, and can be removed', async () => {
  const { client } = await stand();
  const seen: unknown[] = [];
  function listener(this: unknown): void {
    seen.push(this);
  }
  client.on('told', listener);
  client.emit('told');
  client.off('told', listener);
  client.emit('told');
  expect(seen).toEqual([client]);
  setImmediate(() => client.emit('later', 1));
  expect(await once(client, 'later')).toEqual([1]);
});

test('the nodes of a cluster are struck', async () => {
  const { chaos } = await stand();
  const cluster = new Cluster([{ port: 1 }], { lazyConnect: true });
  const node = new Redis({ lazyConnect: true });
  cluster.nodes = () => [node];
  const [wrapped] = chaos.wrapRedis(cluster).nodes('master');
  await expect(wrapped?.get('a')).rejects.toMatchObject(struck);
  cluster.disconnect();
});
