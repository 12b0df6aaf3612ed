/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { sleep, systemClock, systemRandom } from '@holdfast/foundation';
import { createBallast } from '../../src/limits/disk.ts';
import { askRedis } from '../../src/servers/redis/command.ts';
import { openStage } from '../../src/stage.ts';
import { openStagePool } from '../../src/pool/warm-pool.ts';
import { readProcess } from '../../src/system/process-table.ts';
import { startTopology } from '../../src/topology/start-topology.ts';
import { localOnly, singleServer } from '../../src/topology/topology.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { holdingsOf, leftOf, postgresRows } from '../servers/postgres-session.ts';
import { redisValue } from '../servers/redis-contract.ts';

/** Well below `stopTimeoutMs`: no wait has run out. */
const PROMPT_MS = 4_000;
const POLL_MS = 1;
const stopTimeoutMs = 30_000;

async function closePromptly(stage: { close(): Promise<void> }): Promise<void> {
  const beganMs = systemClock.now();
  await stage.close();
  expect(systemClock.now() - beganMs).toBeLessThan(PROMPT_MS);
}

/** A Redis, its process and its folder. */
async function openRedis(): Promise<{
  stage: Awaited<ReturnType<typeof openStage<{ redis: true }>>>;
  pid: number;
  folder: string;
}> {
  const stage = await openStage({ mode: 'local', redis: true, stopTimeoutMs });
  const said = (await redisValue(stage.redis, ['INFO'])) ?? '';
  const field = (name: string): string => new RegExp(`^${name}:(.*)\r$`, 'm').exec(said)?.[1] ?? '';
  return { stage, pid: Number(field('process_id')), folder: dirname(field('config_file')) };
}

test.each([
  ['spins in a script', (pid: number) => void pid, 'EVAL'],
  ['was stopped by another program', (pid: number) => void process.kill(pid, 'SIGSTOP'), 'PING'],
])('close ends a Redis that %s', async (_, damage, command) => {
  const { stage, pid, folder } = await openRedis();
  const args = command === 'EVAL' ? ['EVAL', 'while true do end', '0'] : ['PING'];
  damage(pid);
  const pending = askRedis(stage.redis, args, new AbortController().signal).catch(String);
  const isStuck = redisValue(stage.redis, ['PING'], AbortSignal.timeout(300));
  await expect(isStuck).rejects.toMatchObject({ name: 'TimeoutError' });
  await closePromptly(stage);
  await pending;
  expect(readProcess(pid)).toBeUndefined();
  expect(existsSync(folder)).toBe(false);
});

test('close ends a Postgres whose session spins and whose processes another program has stopped', async () => {
  const stage = await openStage({ mode: 'local', postgres: true, stopTimeoutMs });
  const { primary } = stage.postgres;
  const spinning = postgresRows(primary, 'do $$ begin loop end loop; end $$').catch(String);
  const holdings = await holdingsOf(primary);
  for (const pid of [...holdings.others, holdings.postmaster]) process.kill(pid, 'SIGSTOP');
  await closePromptly(stage);
  await spinning;
  expect([holdings.postmaster, ...holdings.others].filter(readProcess)).toEqual([]);
  expect(leftOf(holdings)).toEqual([]);
});

test('a stop of a server that was stopped from outside ends it after stopTimeoutMs, and it starts again', async () => {
  const stage = closeAfterTest(await openStage({ mode: 'local', redis: true, stopTimeoutMs: 300 }));
  const said = (await redisValue(stage.redis, ['INFO', 'server'])) ?? '';
  process.kill(Number(/process_id:(\d+)/.exec(said)?.[1]), 'SIGSTOP');
  await stage.redis.stop();
  expect(stage.redis.state).toBe('stopped');
  await stage.redis.start();
  expect(await redisValue(stage.redis, ['PING'])).toBe('PONG');
});

test('a server that cannot be ended or removed does not keep a topology open', async () => {
  const stuck = new Promise<never>(() => undefined);
  const topology = {
    ...singleServer({
      docker: localOnly('it is a fake'),
      compose: localOnly('it is a fake'),
      locate: () => Promise.resolve({ file: '', env: {} }),
      serverSpec: () => ({
        name: 'fake',
        url: () => 'fake://',
        probe: () => Promise.resolve('ready' as const),
        local: { prepare: () => Promise.resolve([]) },
      }),
    }),
    toHandle: () => 'opened',
  };
  const context = {
    id: 'fake',
    clock: systemClock,
    random: systemRandom,
    watchdog: {
      guard: () => () => undefined,
      ready: () => undefined,
      close: () => Promise.resolve(),
    },
    link: true,
    readyTimeoutMs: 5_000,
    stopTimeoutMs: 50,
    fetchTimeoutMs: 5_000,
    logMaxBytes: 1_024,
    diskMaxBytes: undefined,
    serverClocks: false,
    serverNetworks: false,
  };
  const createDriver = () =>
    Promise.resolve({
      launch: () =>
        Promise.resolve({
          ended: stuck,
          terminate: () => Promise.resolve(),
          kill: () => Promise.resolve(),
          freeze: () => Promise.resolve(),
          thaw: () => Promise.resolve(),
        }),
      probe: () => Promise.resolve('ready' as const),
      log: () => Promise.resolve(''),
      cleanUp: () => stuck,
    });
  const running = await startTopology(
    { name: 'fake', topology, context, createDriver },
    new AbortController().signal,
  );
  const failures = await running.close();
  expect(failures).toMatchObject([{ code: 'STAGE_SERVER_TIMEOUT', server: 'fake' }]);
}, 10_000);

test('closing a pool aborts the opening of a spare, and no stage is left', async () => {
  const pool = await openStagePool({ stage: { mode: 'local', redis: true }, spares: 0 });
  const leasing = pool.lease();
  // It has begun to open one.
  await new Promise(setImmediate);
  await closePromptly(pool);
  await expect(leasing).rejects.toMatchObject({ code: 'STAGE_CLOSED' });
});

test('filling that is aborted frees what it has filled', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-ballast-'));
  try {
    const { bavail, bsize } = await statfs(folder);
    const given = new AbortController();
    const filling = createBallast(folder).fill(bavail * bsize - 268_435_456, given.signal);
    while ((await readdir(folder)).length === 0) await sleep(systemClock, POLL_MS);
    const reason = new Error('enough');
    given.abort(reason);
    await expect(filling).rejects.toBe(reason);
    expect(await readdir(folder)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
