import { readlink } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { commandFailure } from '../../src/system/command.ts';
import { honoursServerContract } from '../../src/contract.ts';
import { checkNetworkNamespace } from '../../src/runtime/local/network-namespace.ts';
import { createPacketControl } from '../../src/limits/packets.ts';
import type { ServerHandle } from '../../src/handle/handle.ts';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { postgresRows, underPostgresContract } from '../servers/postgres-session.ts';
import { UNHURRIED, redisValue, underContract } from '../servers/redis-contract.ts';

const options = { mode: 'local', serverNetworks: true, ...UNHURRIED } as const;
const support = await checkNetworkNamespace();

async function processOf(server: ServerHandle): Promise<number> {
  const said = await redisValue(server, ['INFO', 'server']);
  return Number(/^process_id:(\d+)/m.exec(said ?? '')?.[1]);
}

const networkOf = (pid: number | 'self'): Promise<string> => readlink(`/proc/${pid}/ns/net`);

if (support.available) {
  honoursServerContract(
    async () => {
      const settings = { appendonly: 'yes', appendfsync: 'always' };
      const stage = await openStage({ ...options, redis: { settings } });
      return underContract(stage.redis, () => stage.close());
    },
    { name: 'Redis in a network of its own', kills: 2 },
  );
  honoursServerContract(
    async () => {
      const stage = await openStage({ ...options, postgres: true });
      return underPostgresContract(stage.postgres.primary, () => stage.close());
    },
    { name: 'Postgres in a network of its own', kills: 2 },
  );

  test('each standalone server has its own network, over a restart too, whatever user it runs as', async () => {
    const stage = closeAfterTest(await openStage({ ...options, redis: true, postgres: true }));
    const { redis, postgres } = stage;
    const before = await networkOf(await processOf(redis));
    expect(before).not.toBe(await networkOf('self'));
    await redis.kill();
    await redis.start();
    expect(await networkOf(await processOf(redis))).toBe(before);
    expect(await postgresRows(postgres.primary, 'select inet_server_addr() is null')).toEqual([
      ['f'],
    ]);
  });

  test('a disconnected server refuses its clients, and serves them again at the same address once it is connected', async () => {
    const stage = closeAfterTest(await openStage({ ...options, redis: true }));
    const { redis } = stage;
    const fault = await redis.disconnect();
    const refusal = { code: 'ECONNREFUSED' };
    await expect(redisValue(redis.direct, ['PING'])).rejects.toMatchObject(refusal);
    await expect(redisValue(redis, ['PING'])).rejects.toBeDefined();
    expect(redis.state).toBe('running');
    await fault.undo();
    expect(await redisValue(redis, ['PING'])).toBe('PONG');
  });

  test('members of a topology share the network of the machine, and the error says so', async () => {
    const stage = closeAfterTest(await openStage({ ...options, redis: 'sentinel' }));
    await expect(stage.redis.primary.disconnect()).rejects.toMatchObject({
      code: 'STAGE_FAULT_UNSUPPORTED',
      message: expect.stringContaining('shares the network of the machine'),
    });
  });
} else {
  test(`a network that this machine does not support is refused at the opening (${support.reason})`, async () => {
    await expect(openStage({ ...options, redis: true })).rejects.toMatchObject({
      code: 'STAGE_FAULT_UNSUPPORTED',
      message: expect.stringContaining(support.remedy),
    });
  });
}

test.each([
  ['nsenter', 'util-linux'],
  ['ip', 'iproute2'],
  ['unshare', 'util-linux'],
  ['unshare up', 'Run as root'],
])('when %s fails, the reason and the remedy (%s) are reported', async (failing, remedy) => {
  const [program, last] = failing.split(' ');
  const failureOf = (file: string, args: readonly string[]): Promise<string | undefined> =>
    Promise.resolve(
      file === program && (last === undefined || args.at(-1) === last) ? 'seen' : undefined,
    );
  expect(await checkNetworkNamespace(undefined, failureOf)).toEqual({
    available: false,
    reason: 'seen',
    remedy: expect.stringContaining(remedy),
  });
});

const VALUE = 'x'.repeat(100_000);
/** About two seconds for the value, in pieces as large as this device takes; a discipline of more kernels than netem. */
const SLOW = ['tbf', 'rate', '100kbit', 'burst', '70000', 'latency', '20s'] as const;
const tried = ['--net', 'tc', 'qdisc', 'add', 'dev', 'lo', 'root', ...SLOW];

if (support.available && (await commandFailure('unshare', tried)) === undefined) {
  test('packets are impaired in the network of one server alone, until it is undone (by another discipline than netem)', async () => {
    const stage = closeAfterTest(await openStage({ ...options, redis: true }));
    const { redis } = stage;
    await redisValue(redis, ['SET', 'key', VALUE]);
    const pid = await processOf(redis);
    const signal = AbortSignal.timeout(30_000);
    const packets = createPacketControl(
      'redis',
      { processId: () => Promise.resolve(pid), affects: (device) => device === 'lo' },
      { arguments: () => SLOW, check: () => Promise.resolve({ available: true }) },
    );
    const readMs = async (): Promise<number> => {
      const startedMs = systemClock.now();
      expect(await redisValue(redis.direct, ['GET', 'key'])).toHaveLength(VALUE.length);
      return systemClock.now() - startedMs;
    };
    const impairment = {
      delayMs: 1,
      jitterMs: 0,
      lossRatio: 0,
      duplicateRatio: 0,
      corruptRatio: 0,
      reorderRatio: 0,
    };
    expect(await readMs()).toBeLessThan(1_000);
    await packets.impair(impairment, signal);
    expect(await readMs()).toBeGreaterThan(1_000);
    await packets.impair(undefined, signal);
    expect(await readMs()).toBeLessThan(1_000);
  }, 60_000);
}
