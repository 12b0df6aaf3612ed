import { afterEach, expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type ReplicatedStore,
  type ReplicatedStoreEvents,
  createReplicatedStore,
} from '../../src/replicated/replicated-store.ts';
import { registerTableSql } from '../../src/replicated/register-table.ts';
import type { ReplicatedStoreOptions } from '../../src/replicated/replicated-options.ts';
import { MemoryRegion, type RegionFaults } from './memory-region.ts';

const clock = createFakeClock();
const stores: ReplicatedStore[] = [];

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  expect(clock.pendingTimers).toBe(0);
});

interface Ground {
  readonly store: ReplicatedStore;
  readonly east: MemoryRegion;
  readonly west: MemoryRegion;
  readonly central: MemoryRegion;
}

function open(options: Partial<ReplicatedStoreOptions> = {}): Ground {
  const random = seededRandom(1);
  const [east, west, central] = [1, 2, 3].map(() => new MemoryRegion(clock, random));
  if (east === undefined || west === undefined || central === undefined) throw new TypeError();
  const regions = [
    { name: 'us-east', database: east },
    { name: 'us-west', database: west },
    { name: 'eu-central', database: central },
  ];
  const store = createReplicatedStore({ regions, clock, timeoutMs: 1_000, ...options });
  stores.push(store);
  return { store, east, west, central };
}

const away: RegionFaults = { lostRequest: 1 };
const silent: RegionFaults = { silent: 1 };
const refusing: RegionFaults = { refused: 1 };

test.each([['shop.registers'], ['_r1'], ['a'.repeat(63)]])(
  'the table of the registers may be called %s',
  (table) => {
    expect(registerTableSql(table)).toContain(`create table if not exists ${table} (key `);
  },
);

test.each(
  [
    [
      '',
      'r; drop table users',
      'r"',
      'r--',
      'r/**/',
      "r'",
      '1r',
      'R',
      'r\n',
      ' r',
      'r r',
      'a.b.c',
      '.r',
      'r.',
    ],
    ['ü', 'r$', 'a'.repeat(64), `s.${'a'.repeat(64)}`, null, 7, {}, ['r']],
  ].flat(),
)('the table of the registers may not be called %j, which is no plain name', (table) => {
  const refused = { code: 'INVALID_OPTION', field: 'table', value: table };
  const sqlOf = (): unknown => Reflect.apply(registerTableSql, undefined, [table]);
  expect(sqlOf).toThrow(expect.objectContaining(refused));
  const database = new MemoryRegion(clock, seededRandom(1));
  const options = { regions: [{ name: 'a', database }], table };
  const create = (): unknown => Reflect.apply(createReplicatedStore, undefined, [options]);
  expect(create).toThrow(expect.objectContaining(refused));
});

test('a write resolves when a majority has stored it, and the last region gets it as well', async () => {
  const { store, central } = open();
  central.faults = { latencyMs: 500 };
  const { regions, version } = await store.write('plan', { gb: 5 });
  expect(regions).toEqual(['us-east', 'us-west']);
  expect(version.counter).toBe(1);
  expect(store.getStats().trailing).toBe(1);
  expect(central.rows.size).toBe(0);
  await clock.settle(store.settled());
  expect(central.rows.get('plan')?.value).toBe('{"gb":5}');
});

test('writes and reads work with one region down', async () => {
  const { store, east } = open();
  await store.write('plan', 'old');
  east.faults = away;
  await store.write('plan', 'new');
  expect((await store.read('plan'))?.value).toBe('new');
  east.faults = {};
  expect((await store.read('plan'))?.value).toBe('new');
});

test('a key that was never written reads as undefined', async () => {
  const { store } = open();
  expect(await store.read('nothing')).toBeUndefined();
  expect(await store.readWithFailover('nothing')).toBeUndefined();
});

test('a write that no region can have stored is not applied, and names the regions that failed', async () => {
  const { store, east, west, central } = open();
  for (const region of [east, west, central]) region.faults = refusing;
  await expect(store.write('plan', 1)).rejects.toMatchObject({
    code: 'DATABASE_QUORUM_UNAVAILABLE',
    outcome: 'not-applied',
    retryable: true,
    regions: [
      { region: 'us-east', status: 'failed' },
      { region: 'us-west', status: 'failed' },
      { region: 'eu-central', status: 'failed' },
    ],
  });
});

test('a write that a minority has confirmed is unknown, and names every region', async () => {
  const { store, west, central } = open({ readQuorum: 1, writeQuorum: 3 });
  west.faults = { lostReply: 1 };
  central.faults = silent;
  const writing = store.write('plan', 1).catch((error: unknown) => error);
  expect(await clock.settle(writing)).toMatchObject({
    code: 'DATABASE_WRITE_UNKNOWN',
    outcome: 'unknown',
    regions: [
      { region: 'us-east', status: 'answered' },
      { region: 'us-west', status: 'failed' },
      { region: 'eu-central', status: 'pending' },
    ],
  });
  expect(store.getStats().unknownWrites).toBe(1);
});

test('once an unknown write has been read, every later read sees it', async () => {
  const { store, east, west, central } = open();
  await store.write('plan', 'old');
  await store.settled();
  const ahead = { counter: 9, writer: 'lost', value: '"new"' };
  west.rows.set('plan', ahead);
  expect((await store.read('plan'))?.value).toBe('new');
  expect(store.getStats().writeBacks).toBe(1);
  await store.settled();
  expect([east, west, central].map(({ rows }) => rows.get('plan'))).toEqual([ahead, ahead, ahead]);
  expect((await store.write('plan', 'newer')).version.counter).toBe(10);
});

test('a read repairs regions that are behind', async () => {
  const { store, east, central } = open();
  const repaired: ReplicatedStoreEvents['repaired'][] = [];
  store.on('repaired', (event) => repaired.push(event));
  await store.write('plan', 'new');
  await store.settled();
  east.rows.clear();
  central.faults = away;
  expect((await store.read('plan'))?.value).toBe('new');
  expect(repaired).toMatchObject([{ key: 'plan', regions: expect.arrayContaining(['us-east']) }]);
  await store.settled();
  expect(east.rows.get('plan')?.value).toBe('"new"');
});

test('a read that cannot write its value back to enough regions is rejected', async () => {
  const { store, east, west, central } = open();
  east.rows.set('plan', { counter: 1, writer: 'lost', value: '1' });
  central.faults = away;
  const ask = west.query.bind(west);
  west.query = (sql, values, options) =>
    sql.startsWith('insert') ? Promise.reject(new Error('disk full')) : ask(sql, values, options);
  const reading = store.read('plan').catch((error: unknown) => error);
  expect(await clock.settle(reading)).toMatchObject({
    code: 'DATABASE_QUORUM_UNAVAILABLE',
    message: expect.stringContaining('cannot read'),
  });
});

test('the nearest region answers, and the next one if it fails', async () => {
  const { store, east, west } = open();
  await store.write('plan', 'kept');
  await store.settled();
  expect(await store.readWithFailover('plan')).toMatchObject({ region: 'us-east', value: 'kept' });
  east.faults = away;
  expect(await store.readWithFailover('plan')).toMatchObject({ region: 'us-west', value: 'kept' });
  const asked = east.asked.length;
  await store.readWithFailover('plan');
  expect(east.asked).toHaveLength(asked);
  expect(store.getStats().regions.at(-1)).toMatchObject({ region: 'us-east', suspect: true });
  west.faults = away;
  await clock.advance(5_000);
  east.faults = {};
  expect(await store.readWithFailover('plan')).toMatchObject({ region: 'us-east' });
});

test('a read with failover works with one region, and rejects with DataUnavailableError without any', async () => {
  const { store, east, west, central } = open();
  await store.write('plan', 'kept');
  await store.settled();
  [east.faults, west.faults] = [away, refusing];
  expect(await store.readWithFailover('plan')).toMatchObject({ region: 'eu-central' });
  central.faults = away;
  await expect(store.readWithFailover('plan')).rejects.toMatchObject({
    code: 'DATABASE_DATA_UNAVAILABLE',
    key: 'plan',
    retryable: true,
  });
});

test('a read does not wait for a slow region: the next one is asked as well', async () => {
  const { store, east } = open({ hedgeDelayMs: 20 });
  await store.write('plan', 'kept');
  await store.settled();
  east.faults = silent;
  const beganMs = clock.now();
  expect((await clock.settle(store.read('plan')))?.value).toBe('kept');
  expect(clock.now() - beganMs).toBe(20);
  expect(store.getStats().hedges).toBe(1);
});

test('regions are asked in the order of their latency', async () => {
  const { store, east, west, central } = open();
  east.faults = { latencyMs: 400 };
  west.faults = { latencyMs: 40 };
  central.faults = { latencyMs: 4 };
  for (let round = 0; round < 10; round += 1) {
    await clock.settle(store.write('plan', round).then(() => store.settled()));
  }
  const order = store.getStats().regions.map(({ region }) => region);
  expect(order).toEqual(['eu-central', 'us-west', 'us-east']);
});

test('a call ends at its deadline when too few regions answer', async () => {
  const { store, east, west } = open({ timeoutMs: 300 });
  [east.faults, west.faults] = [silent, silent];
  const beganMs = clock.now();
  const reading = store.read('plan').catch((error: unknown) => error);
  expect(await clock.settle(reading)).toMatchObject({ code: 'DATABASE_QUORUM_UNAVAILABLE' });
  expect(clock.now() - beganMs).toBe(300);
});

test('a region that ignores its signal cannot delay a call beyond its deadline', async () => {
  const { store, east, west, central } = open({ timeoutMs: 300 });
  for (const region of [east, west, central]) region.query = () => new Promise(() => undefined);
  const writing = store.write('plan', 1).catch((error: unknown) => error);
  expect(await clock.settle(writing)).toMatchObject({ code: 'DATABASE_QUORUM_UNAVAILABLE' });
});

test('an abort ends the call at once with its own reason, and nothing is left', async () => {
  const { store, east, west, central } = open();
  for (const region of [east, west, central]) region.faults = silent;
  const reason = new Error('the user went away');
  const leaving = new AbortController();
  const seen = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'answered',
      (error: unknown) => error,
    );
  const { signal } = leaving;
  const ended = [
    seen(store.read('k', { signal })),
    seen(store.readWithFailover('k', { signal })),
    seen(store.write('k', 1, { signal })),
  ];
  leaving.abort(reason);
  expect(await Promise.all(ended)).toEqual([reason, reason, reason]);
  await expect(store.read('k', { signal })).rejects.toBe(reason);
});

test('close rejects calls under way and later ones', async () => {
  const { store, east, west, central } = open();
  for (const region of [east, west, central]) region.faults = silent;
  const writing = store.write('plan', 1).catch((error: unknown) => error);
  await store.close();
  expect(await writing).toMatchObject({ code: 'DATABASE_REPLICATED_STORE_CLOSED' });
  await expect(store.read('plan')).rejects.toMatchObject({
    code: 'DATABASE_REPLICATED_STORE_CLOSED',
  });
  await store.close();
});

test('at most maxTrailing calls leave requests running', async () => {
  const { store, central } = open({ maxTrailing: 2 });
  central.faults = silent;
  for (let round = 0; round < 5; round += 1) await store.write('plan', round);
  expect(store.getStats().trailing).toBeLessThanOrEqual(2);
  expect((await store.read('plan'))?.value).toBe(4);
});

test('a row that no store has written is an error, not a value', async () => {
  const { store, east, west } = open();
  for (const { rows } of [east, west]) rows.set('plan', { counter: 1, writer: 'x', value: '{' });
  await expect(store.read('plan')).rejects.toMatchObject({ code: 'DATABASE_MALFORMED_REGISTER' });
});

test.each<[string, object]>([
  ['readQuorum', { writeQuorum: 1, readQuorum: 2 }],
  ['writeQuorum', { writeQuorum: 4 }],
  ['regions', { regions: [] }],
  ['regions[0]', { regions: [{ name: 'x' }] }],
  ['regions[0].name', { regions: [{ name: 'a b', database: { query: () => undefined } }] }],
  ['table', { table: 'registers; drop table users' }],
  ['timeoutMs', { timeoutMs: -1 }],
  ['sql', { sql: 'select 1' }],
])('an invalid option is rejected by its name: %s', (field, options) => {
  expect(() => open(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field }));
});

test('keys and values that no region can store are rejected, and no region is asked', async () => {
  const { store, east } = open({ maxValueBytes: 10 });
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  for (const key of ['', '\0', 'x'.repeat(1_025), '\ud800']) {
    await expect(store.read(key)).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'key' });
  }
  for (const value of [undefined, circular, 'x'.repeat(9), 1n]) {
    const refused = { code: 'INVALID_OPTION', field: 'value' };
    await expect(store.write('k', value)).rejects.toMatchObject(refused);
  }
  expect(east.asked).toEqual([]);
});
