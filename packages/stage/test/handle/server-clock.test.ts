/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { expect, test } from '@jest/globals';
import { checkHostFault } from '@holdfast/faults';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { postgresRows } from '../servers/postgres-session.ts';
import { redisValue } from '../servers/redis-contract.ts';
import { testUnless } from '../test-unless.ts';

const HOUR_MS = 3_600_000;

const plan = await checkHostFault('clock');
const onClock = testUnless(plan.available ? undefined : plan.reason);

onClock(
  'a key of a Redis with an hour to live expires when its clock is stepped by two',
  async () => {
    const stage = await openStage({ mode: 'local', redis: true, serverClocks: true });
    try {
      const { redis } = stage;
      await redisValue(redis, ['SET', 'key', 'value', 'EX', '3600']);
      await redis.clock.step(HOUR_MS / 2);
      expect(Number(await redisValue(redis, ['TTL', 'key']))).toBeLessThanOrEqual(1_800);
      expect(await redisValue(redis, ['GET', 'key'])).toBe('value');
      await redis.clock.step(2 * HOUR_MS);
      expect(await redisValue(redis, ['EXISTS', 'key'])).toBe('0');
      expect(redis.clock.offsetMs).toBe(2.5 * HOUR_MS);
      // It keeps its time over a crash, and lives on when it goes back.
      await redis.kill();
      await redis.start();
      await redisValue(redis, ['SET', 'key', 'value', 'EX', '3600']);
      await redis.clock.heal();
      expect(Number(await redisValue(redis, ['TTL', 'key']))).toBeGreaterThan(3_600);
    } finally {
      await stage.close();
    }
  },
  60_000,
);

onClock(
  'a stepped clock of a Postgres applies to open and new sessions, and not to the machine',
  async () => {
    const stage = await openStage({ mode: 'local', postgres: true, serverClocks: true });
    try {
      const { primary } = stage.postgres;
      const aheadMs = async (): Promise<number> => {
        const said = await postgresRows(primary, 'select extract(epoch from now()) * 1000');
        return Number(said[0]?.[0]) - Date.now();
      };
      expect(Math.abs(await aheadMs())).toBeLessThan(HOUR_MS / 10);
      await primary.clock.step(-2 * HOUR_MS);
      expect(Math.abs((await aheadMs()) + 2 * HOUR_MS)).toBeLessThan(HOUR_MS / 10);
      await primary.clock.heal();
      expect(Math.abs(await aheadMs())).toBeLessThan(HOUR_MS / 10);
    } finally {
      await stage.close();
    }
  },
  60_000,
);

test('stepping the clock of a server that reads the machine’s is an error with the remedy', async () => {
  const stage = closeAfterTest(await openStage({ mode: 'local', redis: true }));
  await expect(stage.redis.clock.step(1)).rejects.toMatchObject({
    code: 'STAGE_FAULT_UNSUPPORTED',
    message: expect.stringContaining('serverClocks: true'),
  });
});

test.each(['docker', 'compose'] as const)(
  'clocks are refused in mode %s, with the remedy',
  async (mode) => {
    await expect(openStage({ mode, redis: true, serverClocks: true })).rejects.toMatchObject({
      code: 'STAGE_MODE_UNAVAILABLE',
      message: expect.stringContaining(`Use mode 'local'`),
    });
  },
);
