import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { leaseServers, openBroker } from '../src/lease/broker.ts';
import { openSpares } from '../src/lease/spares.ts';
import { closeAfterTest } from './close-after-test.ts';
import { postgresRows } from './postgres-session.ts';
import { redisValue } from './redis-contract.ts';

const mode = 'local';

/** Where a URL leads. */
function addressOf(url: string): { host: string; port: number; database: string } {
  const { hostname, port, pathname } = new URL(url);
  return { host: hostname, port: Number(port), database: pathname.slice(1) };
}

test('a spare stands still until it is leased, and the next lease gets another one', async () => {
  const spares = closeAfterTest(await openSpares({ stage: { mode, redis: true }, spares: 1 }));
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

test('a leased Postgres answers at once, and its address can be broken like any other', async () => {
  const spares = closeAfterTest(await openSpares({ stage: { mode, postgres: true }, spares: 1 }));
  const lease = closeAfterTest(await spares.lease());
  const { primary } = lease.stage.postgres;
  expect(await postgresRows(primary, 'select 1')).toEqual([['1']]);
  await primary.kill();
  await primary.start();
  expect(await postgresRows(primary, 'select 1')).toEqual([['1']]);
});

test('a cluster is lent warm and empty, and another one when it was broken', async () => {
  const spares = closeAfterTest(await openSpares({ stage: { mode, redis: 'cluster' }, spares: 1 }));
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

test('no more are lent than may be; who waits is served in turn, or leaves with a reason of its own', async () => {
  const stage = { mode, redis: true } as const;
  const spares = closeAfterTest(await openSpares({ stage, spares: 0, maxLeases: 1 }));
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

test('after close nothing is lent, and what was lent is gone', async () => {
  const spares = await openSpares({ stage: { mode, redis: true }, spares: 1 });
  const lease = await spares.lease();
  await spares.close();
  expect(lease.stage.redis.state).toBe('stopped');
  await expect(spares.lease()).rejects.toMatchObject({ code: 'STAGE_CLOSED' });
});

test('processes share a broker without sharing state, and the end of one is the end of its lease', async () => {
  const broker = closeAfterTest(
    await openBroker({
      mode,
      spares: 1,
      async fillTemplate(url) {
        const at = addressOf(url);
        await postgresRows(at, 'create table ready (value int)', { database: at.database });
      },
    }),
  );
  const program = fileURLToPath(new URL('./lease-runner.ts', import.meta.url));
  const worker = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    env: { ...process.env, HOLDFAST_BROKER: broker.address },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    const [line]: string[] = await once(createInterface(worker.stdout), 'line');
    const theirs: { redisUrl: string; databaseUrl: string } = JSON.parse(line ?? '');
    const ours = closeAfterTest(await leaseServers({ address: broker.address }));
    expect(ours.redisUrl).not.toBe(theirs.redisUrl);
    expect(ours.databaseUrl).not.toBe(theirs.databaseUrl);
    const at = addressOf(ours.databaseUrl);
    expect(await postgresRows(at, 'select * from ready', { database: at.database })).toEqual([]);
    const there = `select 1 from pg_database where datname = '${addressOf(theirs.databaseUrl).database}'`;
    expect(await postgresRows(at, there)).toHaveLength(1);
    worker.kill('SIGKILL');
    while ((await postgresRows(at, there)).length > 0);
  } finally {
    worker.kill('SIGKILL');
  }
});

test('without a broker the error says how to have one', async () => {
  const nowhere = { address: '/nowhere/broker.sock' };
  await expect(leaseServers(nowhere)).rejects.toMatchObject({
    code: 'BROKER_UNAVAILABLE',
    message: expect.stringContaining('openBroker()'),
  });
  await expect(leaseServers({ address: '' })).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
});
