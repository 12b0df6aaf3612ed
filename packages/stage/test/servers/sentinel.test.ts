import { expect, test } from '@jest/globals';
import { type ServerUnderContract, honoursServerContract } from '../../src/contract.ts';
import type { RedisReply } from '@holdfast/protocols/redis';
import { askIfUp, valueOf } from '../../src/servers/redis/admin.ts';
import type { StageMode } from '../../src/mode-name.ts';
import { openStage } from '../../src/stage.ts';
import { UNHURRIED, redisValue, underContract } from './redis-contract.ts';

const mode: StageMode = process.env['HOLDFAST_STAGE'] === 'docker' ? 'docker' : 'local';

const openPrimary = async (): Promise<ServerUnderContract> => {
  const settings = { appendonly: 'yes', appendfsync: 'always' };
  const redis = { topology: 'sentinel', settings, downAfterMs: 60_000 } as const;
  const stage = await openStage({ mode, redis, ...UNHURRIED });
  return underContract(stage.redis.primary, () => stage.close());
};

honoursServerContract(openPrimary, { kills: mode === 'docker' ? 2 : 5 });

test('the Sentinels promote a replica when the primary is killed, and the former primary returns as a replica', async () => {
  const stage = await openStage({ mode, redis: { topology: 'sentinel', downAfterMs: 1_000 } });
  try {
    const { redis } = stage;
    expect(await redis.currentPrimary()).toBe(redis.primary);
    await redisValue(redis.primary, ['SET', 'key', 'value']);
    // One of them is to be the primary. (WAIT speaks of its own connection alone, and here each command has one.)
    const replicated = AbortSignal.timeout(30_000);
    for (const replica of redis.replicas) {
      while ((await redisValue(replica, ['GET', 'key'])) !== 'value') replicated.throwIfAborted();
    }

    await redis.primary.kill();
    const promoted = await redis.primaryAfter(redis.primary);

    expect(redis.replicas).toContain(promoted);
    expect(await redis.currentPrimary()).toBe(promoted);
    expect(await redisValue(promoted, ['GET', 'key'])).toBe('value');
    await redisValue(promoted, ['SET', 'key', 'newer']);

    // A Sentinel takes a former primary back once that was up, and called itself one, for four of these
    // periods; asks it that often; and begins anew when it seemed down for a moment.
    for (const sentinel of redis.sentinels) {
      const quicker = ['publish-period', '250', 'info-period', '500'];
      expect(await redisValue(sentinel, ['SENTINEL', 'DEBUG', ...quicker])).toBe('OK');
    }
    await redis.primary.start();
    const limit = AbortSignal.timeout(60_000);
    // A Sentinel closes the connections of a server that it demotes: a reply may be lost.
    const ask = async (...command: readonly string[]): Promise<RedisReply> =>
      (await askIfUp(redis.primary, command, limit)) ?? ask(...command);
    while (valueOf(await ask('GET', 'key')) !== 'newer');
    expect(await ask('SET', 'key', 'mine')).toMatchObject({
      kind: 'error',
      text: expect.stringMatching(/^READONLY/),
    });
  } finally {
    await stage.close();
  }
});

test('the handle has the addresses of the Sentinels and a name that each of them knows', async () => {
  // A Sentinel counts the others as usable that have answered within this time.
  const redis = { topology: 'sentinel', downAfterMs: 60_000 } as const;
  const stage = await openStage({ mode, redis });
  try {
    const { sentinelAddresses, masterName, sentinels, replicas } = stage.redis;
    expect(sentinelAddresses).toEqual(sentinels.map(({ host, port }) => ({ host, port })));
    expect([sentinels.length, replicas.length]).toEqual([3, 2]);
    for (const address of sentinelAddresses) {
      const said = await redisValue(address, ['SENTINEL', 'CKQUORUM', masterName]);
      expect(said).toMatch(/^OK 3 usable Sentinels/);
    }
  } finally {
    await stage.close();
  }
});

test('without a quorum of Sentinels no other primary is elected, and an abort ends the wait', async () => {
  const stage = await openStage({ mode, redis: { topology: 'sentinel', downAfterMs: 100 } });
  try {
    const { redis } = stage;
    await Promise.all(redis.sentinels.slice(1).map((sentinel) => sentinel.kill()));
    await redis.primary.kill();
    const given = new AbortController();
    const waiting = redis.primaryAfter(redis.primary, { signal: given.signal });
    expect(await redis.currentPrimary()).toBe(redis.primary);
    const reason = new Error('enough');
    given.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  } finally {
    await stage.close();
  }
});
