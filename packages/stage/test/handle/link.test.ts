import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import type { StageMode } from '../../src/mode-name.ts';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { redisValue } from '../servers/redis-contract.ts';

const POLL_MS = 5;
const mode: StageMode = process.env['HOLDFAST_STAGE'] === 'docker' ? 'docker' : 'local';

/** How a connection to that address begins. */
async function dialled({ host, port }: { host: string; port: number }): Promise<string> {
  const socket = connect(port, host);
  const refused = once(socket, 'error').then(([error]: { code: string }[]) => error?.code ?? '');
  const outcome = await Promise.race([once(socket, 'connect').then(() => 'connected'), refused]);
  socket.destroy();
  return outcome;
}

test('a fault on the link affects clients at the server’s address, and not the server itself', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true }));
  const { redis } = stage;
  expect(redis.direct.port).not.toBe(redis.port);
  redis.link.faults.set('reset');
  await expect(redisValue(redis, ['PING'])).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(await redisValue(redis.direct, ['PING'])).toBe('PONG');
  await redis.link.heal();
  expect(await redisValue(redis, ['PING'])).toBe('PONG');
  expect(redis.link.getStats().bytesToClient).toBeGreaterThan(0);
});

test('a stopped server refuses connections at its address, with or without faults on its link', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true }));
  const { redis } = stage;
  await redis.kill();
  expect(await dialled(redis)).toBe('ECONNREFUSED');
  await redis.link.heal();
  expect(await dialled(redis)).toBe('ECONNREFUSED');
  redis.link.faults.set('down');
  await redis.start();
  expect(await dialled(redis)).toBe('ECONNREFUSED');
  expect(await dialled(redis.direct)).toBe('connected');
  await redis.link.heal();
  expect(await redisValue(redis, ['PING'])).toBe('PONG');
});

test('a server that is cut off is silent until it is healed, and data sent meanwhile arrives', async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true }));
  const { redis, network } = stage;
  await network.cut(redis);
  const silence = redisValue(redis, ['PING'], AbortSignal.timeout(100));
  await expect(silence).rejects.toMatchObject({ name: 'TimeoutError' });
  const asked = redisValue(redis, ['INCR', 'sent while cut off']);
  await network.heal();
  expect(await asked).toBe('1');
});

test('Sentinels advertise the addresses of links, and replace a primary that is cut off from all', async () => {
  const stage = closeAfterTest(
    await openStage({
      mode,
      redis: { topology: 'sentinel', downAfterMs: 1_000 },
    }),
  );
  const { redis, network } = stage;
  await network.cut(redis.primary);
  const heir = await redis.primaryAfter(redis.primary);
  expect(redis.replicas).toContain(heir);
  expect(heir.port).not.toBe(heir.direct.port);
  expect(redis.primary.state).toBe('running');
});

test('a replica of Postgres streams through the link of its primary', async () => {
  const stage = closeAfterTest(await openStage({ mode: 'local', postgres: 'replica' }));
  const { primary, replica } = stage.postgres;
  const before = primary.link.getStats().connectionsTotal;
  expect(before).toBeGreaterThan(0);
  await replica.kill();
  await replica.start();
  // It answers its clients before it has found its primary.
  const limit = AbortSignal.timeout(10_000);
  while (primary.link.getStats().connectionsTotal === before) {
    await sleep(systemClock, POLL_MS, limit);
  }
});

test('without links the address is the server’s own, and reading the link is an error with the remedy', async () => {
  const stage = closeAfterTest(await openStage({ mode, link: false, redis: true }));
  const { redis, network } = stage;
  expect([redis.url, redis.host, redis.port]).toEqual(Object.values(redis.direct));
  expect(() => redis.link).toThrow(expect.objectContaining({ code: 'STAGE_LINK_ABSENT' }));
  await expect(network.cut(redis)).rejects.toMatchObject({ code: 'STAGE_LINK_ABSENT' });
});
