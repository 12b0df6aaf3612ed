/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect, test } from '@jest/globals';
import { checkAddressSpace, createLocalMemory } from '../../src/runtime/local/memory.ts';
import { createServerLimits } from '../../src/limits/server-limits.ts';
import { createRestarts } from '../../src/handle/restarts.ts';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { ServerHandle } from '../../src/handle/handle.ts';
import type { StageMode } from '../../src/mode-name.ts';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { postgresRows } from '../servers/postgres-session.ts';
import { redisValue } from '../servers/redis-contract.ts';
import { obstacleOf, testUnless } from '../test-unless.ts';
import { mayMount } from './may-mount.ts';

const mode: StageMode = process.env['HOLDFAST_STAGE'] === 'docker' ? 'docker' : 'local';
const MEGABYTE = 1_048_576;
const VALUE = 'x'.repeat(MEGABYTE);

/** Writes until Redis is gone, or has taken `count` megabytes. */
async function writeMegabytes(server: ServerHandle, count: number): Promise<number> {
  for (let written = 0; written < count; written += 1) {
    try {
      await redisValue(server, ['SET', `key ${written}`, VALUE]);
    } catch {
      return written;
    }
  }
  return count;
}

test('a server that exceeds its memory limit is killed by the kernel and restarts at the same address', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true }));
  const { redis } = stage;
  const { port } = redis;
  await redis.limit({ memoryBytes: 48 * MEGABYTE });
  const restarted = redis.waitForRestart();
  expect(await writeMegabytes(redis, 200)).toBeLessThan(200);
  await restarted;
  expect(redis.port).toBe(port);
  expect(await redisValue(redis, ['DBSIZE'])).toBe('0');
}, 60_000);

test('the sessions of a Postgres share its limit, also those that end while it is set', async () => {
  const stage = closeAfterTest(await openStage({ mode: 'local', postgres: true }));
  const { primary } = stage.postgres;
  const asked = Array.from({ length: 10 }, () => postgresRows(primary, 'select 1'));
  const fault = await primary.limit({ memoryBytes: 256 * MEGABYTE });
  expect(await Promise.all(asked)).toHaveLength(10);
  await fault.undo();
  expect(await postgresRows(primary, 'select 1')).toEqual([['1']]);
}, 60_000);

test('filled memory is freed when the fault is undone', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true }));
  const { redis } = stage;
  const fault = await redis.fill('memory', { leaveBytes: 24 * MEGABYTE });
  await fault.undo();
  expect(await writeMegabytes(redis, 60)).toBe(60);
}, 60_000);

const ownDisk = {
  mode,
  diskMaxBytes: 64 * MEGABYTE,
  redis: { settings: { appendonly: 'yes', appendfsync: 'everysec' } },
} as const;

if (await mayMount()) {
  test('a full disk stops the writes of a Redis until it is emptied', async () => {
    const stage = closeAfterTest(await openStage(ownDisk));
    const { redis } = stage;
    const set = (value: string): Promise<string> =>
      redisValue(redis, ['SET', 'key', value]).then(String, String);
    expect(await set('kept')).toBe('OK');
    const fault = await redis.fill('disk');
    await writeMegabytes(redis, 8);
    // It reports this until the failed write has succeeded.
    while (!(await set('lost')).includes('MISCONF'));
    await fault.undo();
    while ((await set('kept again')) !== 'OK');
    await redis.stop();
    await redis.start();
    expect(await redisValue(redis, ['GET', 'key'])).toBe('kept again');
  }, 60_000);

  test('a Postgres fails with 53100 on a full disk, and accepts writes again once it is emptied', async () => {
    const diskMaxBytes = 200 * MEGABYTE;
    const stage = closeAfterTest(await openStage({ mode: 'local', diskMaxBytes, postgres: true }));
    const { primary } = stage.postgres;
    await postgresRows(primary, 'create table kept (value int)');
    const fault = await primary.fill('disk', { leaveBytes: 2 * MEGABYTE });
    const tooMuch = `create table more as select repeat('x', 1000) from generate_series(1, 20000)`;
    await expect(postgresRows(primary, tooMuch)).rejects.toThrow('53100');
    await fault.undo();
    await postgresRows(primary, 'insert into kept values (1)');
    expect(await postgresRows(primary, 'select * from kept')).toEqual([['1']]);
  }, 60_000);
} else {
  test('without the right to mount, a disk of its own is refused at the opening, with the reason', async () => {
    await expect(openStage(ownDisk)).rejects.toMatchObject({
      code: 'STAGE_FAULT_UNSUPPORTED',
      message: expect.stringContaining('mount'),
    });
  });
}

test('the disk of a server on the machine’s disk cannot be filled, and the error names the remedy', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true }));
  await expect(stage.redis.fill('disk')).rejects.toMatchObject({
    code: 'STAGE_FAULT_UNSUPPORTED',
    server: 'redis',
    message: expect.stringContaining('diskMaxBytes'),
  });
  await stage.redis.kill();
  await expect(stage.redis.limit({ memoryBytes: 48 * MEGABYTE })).rejects.toMatchObject({
    code: 'STAGE_STATE',
  });
  await expect(stage.redis.limit({ memoryBytes: 1 })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'memoryBytes',
  });
});

/**
 * Holds 8 MB, and asks for a number of megabytes for each line it reads: prints whether it was given them. A Node would
 * not do, because it aborts when a collection of its own garbage is refused memory: the first one starts threads that
 * reserve 128 MB of address space each. `dd` allocates its block before it reads, and has the limit of the shell.
 */
const HUNGRY = `held=$(head -c 8388608 /dev/zero | tr '\\0' x)
while read -r megabytes; do
  if dd if=/dev/null of=/dev/null bs="\${megabytes}M" count=1 2>/dev/null; then echo given; else echo refused; fi
done`;

const onAddressSpace = testUnless(obstacleOf(await checkAddressSpace()));

onAddressSpace(
  'without control groups, memory beyond the limit is refused until the limit is removed',
  async () => {
    const child = spawn('sh', ['-c', HUNGRY], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const ask = async (megabytes: number): Promise<unknown> => {
      child.stdin.write(`${megabytes}\n`);
      return (await lines.next()).value;
    };
    try {
      const watchdog = {
        guard: () => () => undefined,
        ready: () => undefined,
        close: () => Promise.resolve(),
      };
      const noGroup = (): Promise<undefined> => Promise.resolve(undefined);
      const memory = createLocalMemory('child', 'none', watchdog, noGroup);
      const { signal } = new AbortController();
      expect(await ask(1)).toBe('given');
      await memory.launched(child.pid ?? 0);
      const used = await memory.usedBytes(signal);
      expect(used).toBeGreaterThan(8 * MEGABYTE);
      expect(used).toBeLessThan(64 * MEGABYTE);
      await memory.limit(used + 256 * MEGABYTE, signal);
      expect(await ask(100)).toBe('given');
      expect(await ask(500)).toBe('refused');
      await memory.limit(undefined, signal);
      expect(await ask(500)).toBe('given');
      await memory.cleanUp();
    } finally {
      child.kill('SIGKILL');
    }
  },
);

test('a memory limit that this machine does not support is refused with the reason', async () => {
  const limits = createServerLimits('redis', {
    memory: undefined,
    disk: undefined,
    network: undefined,
    packets: undefined,
  });
  const refused = limits.limit(48 * MEGABYTE, new AbortController().signal);
  await expect(refused).rejects.toMatchObject({ code: 'STAGE_FAULT_UNSUPPORTED' });
});

test('a restart before the wait is not missed, and a wait without a restart ends at its limit', async () => {
  const clock = createFakeClock();
  const restarts = createRestarts(clock);
  const { signal } = new AbortController();
  const late = (): Error => new Error('late');
  restarts.record(Promise.resolve());
  await restarts.next(1_000, late, signal);
  const none = restarts.next(1_000, late, signal).catch((error: unknown) => error);
  await clock.advance(1_000);
  expect(await none).toEqual(new Error('late'));
});
