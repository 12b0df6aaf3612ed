import { afterEach, expect, test } from '@jest/globals';
import { nextEvent, systemClock } from '@holdfast/foundation';
import {
  type FailoverManager,
  type RouteFollower,
  assertPostgresEpoch,
  createFailoverManager,
  createMemoryDiscovery,
  createMemoryLeaseStore,
  followRoute,
  postgresMember,
} from '@holdfast/operations';
import type { ServerHandle } from '@holdfast/stage';
import { Client } from 'pg';
import {
  type ReplicatedPostgresFixture,
  openReplicatedPostgresFixture,
} from '../../src/database/postgres-fixture.ts';
import { openPostgresSession } from '../../src/operations/postgres-session.ts';
import { waitUntil } from '../../src/wait-until.ts';

const SERVICE = 'accounts';
const ROUTE_TTL_MS = 2_000;
const signal = new AbortController().signal;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Ground {
  readonly fixture: ReplicatedPostgresFixture;
  readonly manager: FailoverManager;
  readonly route: RouteFollower;
  readonly servers: ReadonlyMap<string, ServerHandle>;
}

async function openGround(): Promise<Ground> {
  const fixture = await openReplicatedPostgresFixture({
    settings: { synchronous_standby_names: '*' },
  });
  closers.push(() => fixture.close());
  const servers = new Map([
    ['one', fixture.primary],
    ['two', fixture.replica],
  ]);
  const members = [...servers].map(([id, { url }]) => {
    const session = openPostgresSession(url);
    closers.push(() => session.close());
    return postgresMember(id, session.query);
  });
  await members[0]?.prepare(1, { signal });
  await fixture.ask('create table entries (value int primary key)');
  const discovery = createMemoryDiscovery();
  await discovery.publish(SERVICE, { member: 'one', epoch: 1, isOpen: true }, { signal });
  const route = followRoute({ service: SERVICE, discovery, intervalMs: 100, ttlMs: ROUTE_TTL_MS });
  closers.push(() => route.close());
  const manager = createFailoverManager({
    service: SERVICE,
    holder: 'manager-1',
    members,
    lease: createMemoryLeaseStore(systemClock),
    discovery,
    intervalMs: 200,
    callTimeoutMs: 1_500,
    routeTtlMs: ROUTE_TTL_MS,
  });
  closers.push(() => manager.close());
  return { fixture, manager, route, servers };
}

/** One write in a transaction of its own, with the check of its epoch. */
async function write(url: string, epoch: number, value: number): Promise<void> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: 1_000,
    query_timeout: 2_000,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query('begin read write');
    await assertPostgresEpoch((sql, parameters) => client.query(sql, [...parameters]), epoch);
    await client.query('insert into entries values ($1)', [value]);
    await client.query('commit');
  } finally {
    await client.end().catch(() => {});
  }
}

/** Writes along the route. @returns whether it is acknowledged. */
async function writeRouted({ route, servers }: Ground, value: number): Promise<boolean> {
  try {
    const { member, epoch } = route.current();
    await write(servers.get(member)?.url ?? '', epoch, value);
    return true;
  } catch {
    return false;
  }
}

/** A person lets the new primary go on without a copy, which the old one was. */
async function goOnAlone({ fixture }: Ground): Promise<void> {
  await fixture.ask(`alter system set synchronous_standby_names = ''`, [], fixture.replica);
  await fixture.ask('select pg_reload_conf()', [], fixture.replica);
}

async function valuesOn(ground: Ground, id: string): Promise<number[]> {
  const rows = await ground.fixture.ask(
    'select value from entries order by value',
    [],
    ground.servers.get(id),
  );
  return rows.map(({ value }) => Number(value));
}

test('a primary that is killed is replaced by its replica, which has every acknowledged write; when it comes back it is fenced, and stays so', async () => {
  const ground = await openGround();
  const acknowledged: number[] = [];
  let value = 0;
  const writeOnce = async (): Promise<boolean> => {
    value += 1;
    const isDone = await writeRouted(ground, value);
    if (isDone) acknowledged.push(value);
    return isDone;
  };
  await waitUntil(writeOnce);
  await waitUntil(() => ground.manager.view().reason === 'primary-well');
  for (let round = 0; round < 20; round += 1) await writeOnce();
  const replaced = nextEvent(ground.manager, 'failed-over');
  await ground.fixture.primary.kill();
  expect(await replaced).toEqual({ from: 'one', to: 'two', epoch: expect.any(Number) });
  await goOnAlone(ground);
  await waitUntil(writeOnce);
  expect(await valuesOn(ground, 'two')).toEqual(expect.arrayContaining(acknowledged));

  const fenced = nextEvent(ground.manager, 'fenced');
  await ground.fixture.primary.start();
  expect(await fenced).toMatchObject({ member: 'one' });
  await expect(write(ground.fixture.primary.url, 1, 1_000_000)).rejects.toMatchObject({
    code: 'OPERATIONS_FENCED',
  });
  // Whole rounds later, the route is where it was.
  await nextEvent(ground.manager, 'observed');
  await nextEvent(ground.manager, 'observed');
  expect(ground.manager.view()).toMatchObject({ reason: 'primary-well', route: { member: 'two' } });
  expect(await writeOnce()).toBe(true);
}, 60_000);

test('a primary that hangs and thaws takes no write of those who knew it before', async () => {
  const ground = await openGround();
  await waitUntil(() => writeRouted(ground, 1));
  await waitUntil(() => ground.manager.view().reason === 'primary-well');
  const replaced = nextEvent(ground.manager, 'failed-over');
  const fenced = nextEvent(ground.manager, 'fenced');
  await ground.fixture.primary.freeze();
  await replaced;
  await goOnAlone(ground);
  await ground.fixture.primary.thaw();
  await fenced;
  await expect(write(ground.fixture.primary.url, 1, 2)).rejects.toMatchObject({
    code: 'OPERATIONS_FENCED',
  });
  await waitUntil(() => writeRouted(ground, 3));
  expect(await valuesOn(ground, 'two')).toEqual([1, 3]);
}, 60_000);
