import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { type ServerUnderContract, honoursServerContract } from '../../src/contract.ts';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { postgresRows, underPostgresContract } from '../servers/postgres-session.ts';
import {
  openDns,
  openEsimGo,
  openGit,
  openTls,
  openUpstream,
} from '../emulated/program-contracts.ts';
import { UNHURRIED, redisValue, underContract } from '../servers/redis-contract.ts';

const isAsked = process.env['HOLDFAST_STAGE'] === 'compose';
const mode = 'compose';

/** How long a Sentinel or a node of the cluster is silent before compose's others take its place, by the file. */
const DOWN_AFTER_MS = '500';
const NODE_TIMEOUT_MS = '1000';
/** The profiles that compose has started. */
const profiles = (process.env['COMPOSE_PROFILES'] ?? '').split(',');
/** Longer than any contract: no other server takes over from the one that is broken. */
const NEVER_MS = '600000';

if (isAsked) {
  const openRedis = async (): Promise<ServerUnderContract> => {
    const stage = await openStage({ mode, redis: true, ...UNHURRIED });
    await redisValue(stage.redis, ['FLUSHALL']);
    return underContract(stage.redis, () => stage.close());
  };
  const openSentinel = async (): Promise<ServerUnderContract> => {
    const stage = await openStage({ mode, redis: 'sentinel', ...UNHURRIED });
    const { sentinels } = stage.redis;
    const downAfter = (ms: string): Promise<unknown> => {
      const set = ['SENTINEL', 'SET', 'holdfast', 'down-after-milliseconds', ms];
      return Promise.all(sentinels.map(({ direct }) => redisValue(direct, set)));
    };
    await downAfter(NEVER_MS);
    // They may have found another one a moment before.
    const primary = await stage.redis.currentPrimary();
    await redisValue(primary, ['FLUSHALL']);
    return underContract(primary, async () => {
      await stage.close();
      await downAfter(DOWN_AFTER_MS);
    });
  };
  const openNode = async (): Promise<ServerUnderContract> => {
    const stage = await openStage({ mode, redis: 'cluster', ...UNHURRIED });
    const { nodes } = stage.redis;
    const timeout = (ms: string): Promise<unknown> => {
      const set = ['CONFIG', 'SET', 'cluster-node-timeout', ms];
      return Promise.all(nodes.map(({ direct }) => redisValue(direct, set)));
    };
    await timeout(NEVER_MS);
    const owner = await stage.redis.primaryOfSlot(stage.redis.keySlot('{contract}'));
    await redisValue(owner, ['FLUSHALL']);
    const close = async (): Promise<void> => {
      await stage.close();
      await timeout(NODE_TIMEOUT_MS);
    };
    return underContract(owner, close, (key) => `{contract}${key}`);
  };
  const openPostgres = async (): Promise<ServerUnderContract> => {
    const stage = await openStage({ mode, postgres: 'replica', ...UNHURRIED });
    const { primary } = stage.postgres;
    await postgresRows(primary, 'drop table if exists stored');
    return underPostgresContract(primary, () => stage.close());
  };
  const openNewerPostgres = async (): Promise<ServerUnderContract> => {
    const stage = await openStage({ mode, postgres: { version: 18 }, ...UNHURRIED });
    const { primary } = stage.postgres;
    await postgresRows(primary, 'drop table if exists stored');
    return underPostgresContract(primary, () => stage.close());
  };
  // Its output before the stage counts as well.
  const asItStands = { printsSinceOpen: false, kills: 1 };
  honoursServerContract(openRedis, { ...asItStands, name: 'Redis of compose' });
  honoursServerContract(openPostgres, { ...asItStands, name: 'Postgres of compose' });
  const ofProfiles = {
    sentinel: { open: openSentinel, name: 'the watched Redis of compose' },
    cluster: { open: openNode, name: 'a cluster’s node of compose' },
    'postgres-18': { open: openNewerPostgres, name: 'Postgres 18 of compose' },
  };
  for (const [profile, { open, name }] of Object.entries(ofProfiles)) {
    if (profiles.includes(profile)) {
      honoursServerContract(open, { ...asItStands, name });
      continue;
    }
    // oxlint-disable-next-line jest/no-disabled-tests -- its services run only when it was started
    test.skip(`${name} keeps its contract: runs with COMPOSE_PROFILES=${profile}`, () => {
      expect(profiles).toContain(profile);
    });
  }
  const programs = { upstream: openUpstream, tls: openTls, git: openGit, esimGo: openEsimGo };
  for (const [name, open] of Object.entries(programs)) {
    honoursServerContract(() => open(mode), { ...asItStands, name: `the ${name} of compose` });
  }
  // Without a link, clients connect to the server itself.
  const dns = { ...asItStands, leaves: 'the server', name: 'the dns of compose' } as const;
  honoursServerContract(() => openDns(mode), dns);

  test('a service of compose runs after the stage is closed, also when it was stopped or frozen', async () => {
    for (const verb of ['kill', 'freeze'] as const) {
      const broken = await openStage({ mode, redis: true });
      await broken.redis[verb]();
      await broken.close();
    }
    const stage = await openStage({ mode, redis: true, link: false });
    expect(stage.redis.port).toBe(6380);
    expect(await redisValue(stage.redis, ['PING'])).toBe('PONG');
    await stage.close();
    expect(await redisValue(stage.redis, ['PING'])).toBe('PONG');
  });

  test('a disconnected service is connected again under its former names', async () => {
    const stage = closeAfterTest(await openStage({ mode, postgres: 'replica' }));
    const { primary, replica } = stage.postgres;
    const fault = await primary.disconnect();
    await expect(postgresRows(primary.direct, 'select 1')).rejects.toBeDefined();
    await fault.undo();
    expect(await postgresRows(primary, 'select 1')).toEqual([['1']]);
    // Which looks for its primary by that name.
    await replica.kill();
    await replica.start();
    const streams = `select 1 from pg_stat_replication where state = 'streaming'`;
    while ((await postgresRows(primary, streams)).length === 0);
  });

  test('a replica of compose has the handle of its topology', async () => {
    const stage = closeAfterTest(await openStage({ mode, postgres: 'replica' }));
    expect(await postgresRows(stage.postgres.replica, 'select pg_is_in_recovery()')).toEqual([
      ['t'],
    ]);
  });

  if (['sentinel', 'cluster'].every((profile) => profiles.includes(profile))) {
    test('Sentinels and a Cluster of compose have the handles of their topologies', async () => {
      const stage = closeAfterTest(await openStage({ mode, redis: 'sentinel' }));
      expect(await stage.redis.currentPrimary()).toBe(stage.redis.primary);
      const other = closeAfterTest(await openStage({ mode, redis: 'cluster' }));
      const slot = other.redis.keySlot('key');
      expect(other.redis.nodes).toContain(await other.redis.primaryOfSlot(slot));
    });
  }
} else {
  // oxlint-disable-next-line jest/no-disabled-tests -- compose is not part of every machine
  test.skip('a server of compose keeps its contract: runs with HOLDFAST_STAGE=compose', () => {
    expect(isAsked).toBe(true);
  });
}

test('options that the compose file determines are refused at the opening', async () => {
  const settings = { appendonly: 'no' };
  await expect(openStage({ mode, redis: { settings } })).rejects.toMatchObject({
    code: 'STAGE_MODE_UNAVAILABLE',
    message: expect.stringContaining('redis.settings cannot change'),
  });
});

test('a version of Postgres that the compose file does not contain is refused', async () => {
  for (const postgres of [{ version: 17 }, { version: 18, replica: true }]) {
    await expect(openStage({ mode, postgres })).rejects.toMatchObject({
      code: 'STAGE_MODE_UNAVAILABLE',
      message: expect.stringContaining('postgres.version'),
    });
  }
});

test('each service of the compose file names its port, and publishes it on loopback', async () => {
  const file = await readFile(
    new URL('../../../../docker-compose.test.yml', import.meta.url),
    'utf8',
  );
  const services = file.slice(file.indexOf('\nservices:\n')).split(/\n {2}(?=[a-z0-9-]+:\n)/);
  const published = services.flatMap((service) => {
    const [, port] = /ports: \['127\.0\.0\.1:(\d+):/.exec(service) ?? [];
    return port === undefined ? [] : [{ port, service }];
  });
  expect(published.length).toBeGreaterThan(4);
  for (const { port, service } of published) expect(service).toContain(`holdfast.port: '${port}'`);
  expect(file).not.toMatch(/ports: \[(?:'127\.0\.0\.1:[^']*', )*'(?!127\.0\.0\.1:)/);
});
