import { expect, test } from '@jest/globals';
import { openStagePool } from '../../src/pool/warm-pool.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { postgresRows } from '../servers/postgres-session.ts';
import { redisValue } from '../servers/redis-contract.ts';

const mode = 'local';

test('a spare is frozen until it is leased, and the next lease gets another one', async () => {
  const spares = closeAfterTest(await openStagePool({ stage: { mode, redis: true }, spares: 1 }));
  const first = await spares.lease();
  expect(first.stage.redis.state).toBe('running');
  await redisValue(first.stage.redis, ['SET', 'key', 'seen by one']);
  await spares.filled();
  const second = await spares.lease();
  expect(second.stage.redis.port).not.toBe(first.stage.redis.port);
  expect(await redisValue(second.stage.redis, ['DBSIZE'])).toBe('0');
  await first.stage.redis.kill();
  await first.release();
  expect(first.stage.redis.state).toBe('stopped');
});

test('a leased Postgres answers at once, and its link can be broken like any other', async () => {
  const spares = closeAfterTest(
    await openStagePool({ stage: { mode, postgres: true }, spares: 1 }),
  );
  const lease = closeAfterTest(await spares.lease());
  const { primary } = lease.stage.postgres;
  expect(await postgresRows(primary, 'select 1')).toEqual([['1']]);
  await primary.kill();
  await primary.start();
  expect(await postgresRows(primary, 'select 1')).toEqual([['1']]);
});

test('a cluster is leased running and empty, and a broken one is replaced', async () => {
  const spares = closeAfterTest(
    await openStagePool({ stage: { mode, redis: 'cluster' }, spares: 1 }),
  );
  const first = await spares.lease();
  const { redis } = first.stage;
  const owner = await redis.primaryOfSlot(redis.keySlot('key'));
  await redisValue(owner, ['SET', 'key', 'value']);
  await spares.filled();
  const other = await spares.lease();
  await other.stage.redis.nodes[0]?.kill();
  await other.release();
  expect(other.stage.redis.nodes[0]?.state).toBe('stopped');
  await first.release();
  const again = closeAfterTest(await spares.lease());
  const node = await again.stage.redis.primaryOfSlot(redis.keySlot('key'));
  expect(await redisValue(node, ['GET', 'key'])).toBeNull();
}, 60_000);

test('no more than maxLeases are leased; waiters are served in order, or reject with their signal’s reason', async () => {
  const stage = { mode, redis: true } as const;
  const spares = closeAfterTest(await openStagePool({ stage, spares: 0, maxLeases: 1 }));
  const first = await spares.lease();
  const leaving = new AbortController();
  const impatient = spares.lease({ signal: leaving.signal }).catch((error: unknown) => error);
  const patient = spares.lease();
  const reason = new Error('enough');
  leaving.abort(reason);
  expect(await impatient).toBe(reason);
  await first.release();
  const second = await patient;
  expect(await redisValue(second.stage.redis, ['PING'])).toBe('PONG');
});

test('after close nothing is leased, and leased stages are closed', async () => {
  const spares = await openStagePool({ stage: { mode, redis: true }, spares: 1 });
  const lease = await spares.lease();
  await spares.close();
  expect(lease.stage.redis.state).toBe('stopped');
  await expect(spares.lease()).rejects.toMatchObject({ code: 'STAGE_CLOSED' });
});
