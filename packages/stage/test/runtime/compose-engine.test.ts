import { totalmem } from 'node:os';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openStage } from '../../src/index.ts';
import { redisValue } from '../servers/redis-contract.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { type ProcessEngine, USED_BYTES, openProcessEngine } from './process-engine.ts';

const mode = 'compose';
const patient = { stopTimeoutMs: 30_000 } as const;
let engine: ProcessEngine;
const before = { ...process.env };

beforeAll(async () => {
  engine = await openProcessEngine('redis');
  process.env['DOCKER_HOST'] = engine.host;
  process.env['HOLDFAST_IMAGE_REDIS'] = '';
});

afterAll(async () => {
  for (const name of ['DOCKER_HOST', 'HOLDFAST_IMAGE_REDIS']) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  await engine.close();
});

test('a service of compose is killed, frozen and started again by its engine, at one address', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true, ...patient }));
  const { redis } = stage;
  await redisValue(redis, ['SET', 'key', 'value']);
  await redis.freeze();
  expect(engine.server.state).toBe('frozen');
  await redis.thaw();
  expect(await redisValue(redis, ['GET', 'key'])).toBe('value');
  const { port } = redis;
  await redis.kill();
  expect(engine.server.state).toBe('stopped');
  await redis.start();
  expect(redis.port).toBe(port);
  expect(await redisValue(redis, ['PING'])).toBe('PONG');
  expect(await redis.log()).toContain('Ready to accept connections');
});

test('a service that was stopped or frozen runs again after the stage is closed', async () => {
  for (const verb of ['stop', 'freeze'] as const) {
    const stage = await openStage({ mode, redis: true, ...patient });
    await stage.redis[verb]();
    await stage.close();
    expect(engine.server.state).toBe('running');
  }
});

test('a pause that a health check prevents is tried again, and one that fails each time is an error', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true, ...patient }));
  engine.refuse('/pause', 500, 4);
  await stage.redis.freeze();
  expect(engine.server.state).toBe('frozen');
  await stage.redis.thaw();
  engine.refuse('/pause', 500, 5);
  await expect(stage.redis.freeze()).rejects.toMatchObject({ code: 'STAGE_ENGINE_REFUSED' });
  expect(engine.server.state).toBe('running');
});

test('a disconnected service is connected to its networks again, under its names', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true, ...patient }));
  const fault = await stage.redis.disconnect();
  const cut = { Container: '1', Force: true };
  expect(engine.requests.at(-1)).toBe(
    `POST /networks/test_default/disconnect ${JSON.stringify(cut)}`,
  );
  await fault.undo();
  const back = { Container: '1', EndpointConfig: { Aliases: ['redis'] } };
  expect(engine.requests).toContain(`POST /networks/test_default/connect ${JSON.stringify(back)}`);
});

test('a limit of the memory is the engine’s, and undone it is all that the machine has', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true, ...patient }));
  const updateTo = (bytes: number): string =>
    `POST /containers/1/update ${JSON.stringify({ Memory: bytes, MemorySwap: bytes })}`;
  const fault = await stage.redis.limit({ memoryBytes: 64 * 2 ** 20 });
  expect(engine.requests).toContain(updateTo(64 * 2 ** 20));
  await fault.undo();
  expect(engine.requests.at(-1)).toBe(updateTo(totalmem()));
  const filled = await stage.redis.fill('memory');
  // About what it uses.
  const [, limit] = /"Memory":(\d+)/.exec(engine.requests.at(-1) ?? '') ?? [];
  expect(Number(limit)).toBeGreaterThanOrEqual(USED_BYTES);
  expect(Number(limit)).toBeLessThan(10 * USED_BYTES);
  await filled.undo();
});

test('an image that the engine neither has nor can pull is told with what replaces it', async () => {
  const opening = (): Promise<unknown> => openStage({ mode: 'docker', redis: true, ...patient });
  const refusal = {
    code: 'STAGE_MODE_UNAVAILABLE',
    message: expect.stringMatching(/redis:.* could not be pulled.*HOLDFAST_IMAGE_REDIS/),
  };
  // It begins a pull, which fails; then it refuses to pull.
  engine.refuse('/images/redis', 404, 2);
  await expect(opening()).rejects.toMatchObject(refusal);
  expect(engine.requests.at(-2)).toContain('POST /images/create?fromImage=redis');
  engine.refuse('/images/redis', 404, 1);
  engine.refuse('/images/create', 500, 1);
  await expect(opening()).rejects.toMatchObject(refusal);
});

test('the container that compose has created instead is the server from its next start on', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true, ...patient }));
  await stage.redis.kill();
  engine.recreate();
  await stage.redis.start();
  expect(await redisValue(stage.redis, ['PING'])).toBe('PONG');
  expect(engine.requests.at(-1)).not.toContain('/containers/1/');
});
