import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test } from '@jest/globals';
import { readProcess } from '../src/system/process-table.ts';
import { openStage } from '../src/stage.ts';
import { closeAfterTest } from './close-after-test.ts';
import { redisValue } from './servers/redis-contract.ts';

/** A field of the output of INFO. */
async function info(address: { host: string; port: number }, field: string): Promise<string> {
  const said = (await redisValue(address, ['INFO'])) ?? '';
  return new RegExp(`^${field}:(.*)\r$`, 'm').exec(said)?.[1] ?? '';
}

test('close removes the process and its folder', async () => {
  const stage = await openStage({ mode: 'local', redis: true });
  const pid = Number(await info(stage.redis, 'process_id'));
  const folder = dirname(await info(stage.redis, 'config_file'));
  expect(readProcess(pid)).toBeDefined();
  expect(existsSync(folder)).toBe(true);

  await stage[Symbol.asyncDispose]();

  expect(readProcess(pid)).toBeUndefined();
  expect(existsSync(folder)).toBe(false);
});

test('a server that ends by itself is seen as stopped, and can be started again', async () => {
  const stage = await openStage({ mode: 'local', redis: true });
  try {
    const stopped = new Promise<void>((resolve) => {
      const onTransition = (event: unknown): void => {
        expect(event).toMatchObject({ server: 'redis', from: 'running', to: 'stopped' });
        unsubscribe('holdfast:stage:transition', onTransition);
        resolve();
      };
      subscribe('holdfast:stage:transition', onTransition);
    });
    await expect(redisValue(stage.redis, ['SHUTDOWN', 'NOSAVE'])).rejects.toThrow('closed');
    await stopped;
    expect(stage.redis.state).toBe('stopped');
    await stage.redis.start();
    expect(await redisValue(stage.redis, ['PING'])).toBe('PONG');
  } finally {
    await stage.close();
  }
});

test('a server without persistence comes back empty', async () => {
  const stage = await openStage({ mode: 'local', redis: true });
  try {
    await redisValue(stage.redis, ['SET', 'key', 'value']);
    await stage.redis.kill();
    await stage.redis.start();
    expect(await redisValue(stage.redis, ['GET', 'key'])).toBeNull();
  } finally {
    await stage.close();
  }
});

test('a setting that the server refuses is an error that quotes the server', async () => {
  const opening = openStage({ mode: 'local', redis: { settings: { 'no-such-setting': '1' } } });
  await expect(opening).rejects.toMatchObject({
    code: 'STAGE_SERVER_START_FAILED',
    printed: expect.stringContaining('no-such-setting'),
  });
});

test('a server with a password becomes ready, and its url contains the password', async () => {
  const settings = { requirepass: 'p@ss' };
  const stage = await openStage({ mode: 'local', redis: { settings } });
  try {
    expect(stage.redis.url).toBe(`redis://:p%40ss@127.0.0.1:${stage.redis.port}`);
    await expect(redisValue(stage.redis, ['PING'])).rejects.toThrow('NOAUTH');
  } finally {
    await stage.close();
  }
});

test('a start until listening resolves while the data are still loading', async () => {
  const settings = {
    save: '3600 1',
    rdbcompression: 'no',
    // In microseconds for each key, so that the five below take a second and a half.
    'key-load-delay': '300000',
    'loading-process-events-interval-bytes': '1024',
  };
  const stage = await openStage({ mode: 'local', redis: { settings } });
  try {
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      await redisValue(stage.redis, ['SET', key, 'x'.repeat(2_000)]);
    }
    await stage.redis.stop();
    await stage.redis.start({ until: 'listening' });
    await expect(redisValue(stage.redis, ['GET', 'a'])).rejects.toThrow('LOADING');
  } finally {
    await stage.close();
  }
});

test('an option that Docker does not support is refused before the engine is asked', async () => {
  const opening = openStage({ mode: 'docker', redis: true, postgres: { version: 17 } });
  await expect(opening).rejects.toMatchObject({
    code: 'STAGE_MODE_UNAVAILABLE',
    message: expect.stringContaining('no image of Postgres 17 is known'),
  });
});

test('the network of a process cannot be removed, and the error names the link as the alternative', async () => {
  const stage = closeAfterTest(await openStage({ mode: 'local', redis: true }));
  await expect(stage.redis.disconnect()).rejects.toMatchObject({
    code: 'STAGE_FAULT_UNSUPPORTED',
    message: expect.stringContaining('stage.network.cut'),
  });
});

test('an aborted opening rejects with the reason of the caller', async () => {
  const reason = new Error('enough');
  const opening = openStage({ mode: 'local', redis: true, signal: AbortSignal.abort(reason) });
  await expect(opening).rejects.toBe(reason);
});

test('closing during a start aborts the start', async () => {
  const stage = await openStage({ mode: 'local', redis: true });
  await stage.redis.kill();
  const starting = stage.redis.start();
  const closing = stage.close();
  await expect(starting).rejects.toMatchObject({ code: 'STAGE_CLOSED' });
  await closing;
  expect(stage.redis.state).toBe('stopped');
});

test('the log is the newest logMaxBytes of the output', async () => {
  const logMaxBytes = 1_024;
  const stage = await openStage({ mode: 'local', redis: true, logMaxBytes });
  try {
    await stage.redis.kill();
    await stage.redis.start();
    const log = await stage.redis.log();
    expect(Buffer.byteLength(log)).toBeLessThanOrEqual(logMaxBytes);
    expect(log.trimEnd()).toMatch(/Ready to accept connections.*$/);
  } finally {
    await stage.close();
  }
});

test.each([
  [{ mysql: true }, 'mysql'],
  [{ mode: 'kubernetes' }, 'mode'],
  [{ redis: 'quorum' }, 'redis'],
  [{ redis: { topology: 'quorum' } }, 'redis.topology'],
  [{ redis: { topology: 'cluster', downAfterMs: 500 } }, 'redis.downAfterMs'],
  [{ redis: { topology: 'sentinel', downAfterMs: 0 } }, 'redis.downAfterMs'],
  [
    { redis: { topology: 'sentinel', settings: { requirepass: 'a' } } },
    'redis.settings.requirepass',
  ],
  [{ redis: { setting: {} } }, 'redis.setting'],
  [{ redis: { settings: { port: '1' } } }, 'redis.settings.port'],
  [{ redis: { settings: { maxmemory: 1 } } }, 'redis.settings.maxmemory'],
  [{ redis: { settings: { save: '1 1\nport 1' } } }, 'redis.settings.save'],
  [{ postgres: 'primary' }, 'postgres'],
  [{ postgres: { version: 9 } }, 'postgres.version'],
  [{ postgres: { settings: { port: '1' } } }, 'postgres.settings.port'],
  [{ postgres: { settings: { work_mem: 1 } } }, 'postgres.settings.work_mem'],
  [{ readyTimeoutMs: 0 }, 'readyTimeoutMs'],
  [{ clock: {} }, 'clock'],
])('the options %j are refused by naming %s', async (options, field) => {
  const wrong: object = options;
  await expect(openStage(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});
