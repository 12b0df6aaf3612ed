import { expect, test } from '@jest/globals';
import { honoursServerContract } from '../../src/contract.ts';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { openRedis, redisValue } from '../servers/redis-contract.ts';

const isAsked = process.env['HOLDFAST_STAGE'] === 'docker';

if (isAsked) {
  honoursServerContract(() => openRedis('docker'), { kills: 2 });

  test('a disconnected server refuses its clients, and serves them again at the same address once it is connected', async () => {
    const stage = closeAfterTest(await openStage({ mode: 'docker', redis: true }));
    const { redis } = stage;
    const fault = await redis.disconnect();
    await expect(redisValue(redis.direct, ['PING'])).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    await expect(redisValue(redis, ['PING'])).rejects.toBeDefined();
    expect(redis.state).toBe('running');
    await fault.undo();
    expect(await redisValue(redis, ['PING'])).toBe('PONG');
  });

  test('a member of a topology shares the network of the machine, and the error says so', async () => {
    const stage = closeAfterTest(await openStage({ mode: 'docker', dns: true }));
    await expect(stage.dns.disconnect()).rejects.toMatchObject({
      code: 'STAGE_FAULT_UNSUPPORTED',
      message: expect.stringContaining('shares the network of the machine'),
    });
  });
} else {
  // oxlint-disable-next-line jest/no-disabled-tests -- an engine is not part of every machine
  test.skip('a server keeps its contract in Docker: runs with HOLDFAST_STAGE=docker', () => {
    expect(isAsked).toBe(true);
  });
}
