import { expect, test } from '@jest/globals';
import { type ServerUnderContract, honoursServerContract } from '../../src/contract.ts';
import { ownerIn } from '../../src/servers/redis/cluster.ts';
import type { StageMode } from '../../src/mode-name.ts';
import { openStage } from '../../src/stage.ts';
import { UNHURRIED, redisValue, underContract } from './redis-contract.ts';

const mode: StageMode = process.env['HOLDFAST_STAGE'] === 'docker' ? 'docker' : 'local';

const openNode = async (): Promise<ServerUnderContract> => {
  const settings = { appendonly: 'yes', appendfsync: 'always' };
  const nodeTimeoutMs = 60_000;
  const stage = await openStage({
    mode,
    redis: { topology: 'cluster', settings, nodeTimeoutMs },
    ...UNHURRIED,
  });
  const owner = await stage.redis.primaryOfSlot(stage.redis.keySlot('{contract}'));
  const tagged = (key: string): string => `{contract}${key}`;
  return underContract(owner, () => stage.close(), tagged);
};

// A node is ready two seconds after its start at the earliest.
honoursServerContract(openNode, { kills: 1 });

test('every slot has a primary, and a replica takes over its slots when it is killed', async () => {
  const stage = await openStage({ mode, redis: { topology: 'cluster', nodeTimeoutMs: 500 } });
  try {
    const { redis } = stage;
    const owners = [0, 5_461, 5_462, 10_922, 10_923, 16_383].map((slot) =>
      redis.primaryOfSlot(slot),
    );
    const places = (await Promise.all(owners)).map((owner) => redis.nodes.indexOf(owner));
    expect(places).toEqual([0, 0, 1, 1, 2, 2]);

    const slot = redis.keySlot('{user}1');
    const primary = await redis.primaryOfSlot(slot);
    await redisValue(primary, ['SET', '{user}1', 'value']);
    await redisValue(primary, ['WAIT', '1', '1000']);
    await primary.kill();
    let heir = primary;
    while (heir === primary) heir = await redis.primaryOfSlot(slot);

    expect(redis.nodes.indexOf(heir)).toBe(redis.nodes.indexOf(primary) + 3);
    expect(await redisValue(heir, ['GET', '{user}1'])).toBe('value');
    await expect(redis.primaryOfSlot(16_384)).rejects.toMatchObject({ field: 'slot' });
  } finally {
    await stage.close();
  }
});

test('the owner of a slot is parsed from CLUSTER NODES, without slots that are being imported', () => {
  const printed = [
    'aa 127.0.0.1:7000@17000 master - 0 0 1 connected 0-5 9 [7->-bb]',
    'bb 127.0.0.1:7001@17001,name myself,master - 0 0 2 connected 6-8 [9-<-aa]',
    'cc 127.0.0.1:7002@17002 slave aa 0 0 1 connected',
    '',
  ].join('\n');
  expect([0, 5, 9, 7, 8, 10].map((slot) => ownerIn(printed, slot))).toEqual([
    7000,
    7000,
    7000,
    7001,
    7001,
    undefined,
  ]);
});
