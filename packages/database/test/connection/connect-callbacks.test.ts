import type { LookupFunction } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { CallbackFailedError, type DatabaseOptions, createDatabase } from '../../src/index.ts';
import { Opened, failureOf } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

class SecretStoreAway extends Error {}

const boom = new SecretStoreAway('the secret store is away');
const coded = Object.assign(new SecretStoreAway('connect'), { code: 'ECONNREFUSED' });

function fail(error: unknown): never {
  throw error;
}

/** Past the types, as plain JavaScript would. */
function lookupOf(lookup: (...given: never[]) => unknown): LookupFunction {
  return (...given) => Reflect.apply(lookup, undefined, given);
}

type Done = (error: unknown, address?: unknown, family?: number) => void;

const failing: readonly [string, Partial<DatabaseOptions>, 'password' | 'lookup', unknown][] = [
  ['a password function that throws', { password: () => fail(boom) }, 'password', boom],
  ['one that rejects', { password: () => Promise.reject(boom) }, 'password', boom],
  ['one that rejects with nothing', { password: () => Promise.reject(null) }, 'password', null],
  ['one whose own server is away', { password: () => Promise.reject(coded) }, 'password', coded],
  [
    'one that returns no string',
    { password: () => Reflect.get({}, 'password') },
    'password',
    expect.any(TypeError),
  ],
  [
    'one that never settles',
    { password: () => new Promise<string>(() => undefined), connectTimeoutMs: 20 },
    'password',
    expect.objectContaining({ code: 'CONNECT_TIMEOUT' }),
  ],
  ['a lookup that throws', { lookup: lookupOf(() => fail(boom)) }, 'lookup', boom],
  ['one that rejects', { lookup: lookupOf(() => Promise.reject(boom)) }, 'lookup', boom],
  [
    'one that calls back with an error of its own',
    { lookup: lookupOf((_: string, __: object, done: Done) => done(boom)) },
    'lookup',
    boom,
  ],
  [
    'one that finds no address',
    { lookup: lookupOf((_: string, __: object, done: Done) => done(null, 'db.internal', 4)) },
    'lookup',
    expect.any(TypeError),
  ],
  [
    'one that finds an empty list',
    { lookup: lookupOf((_: string, __: object, done: Done) => done(null, [])) },
    'lookup',
    expect.any(TypeError),
  ],
];

/** A name, because an address is not looked up. */
function named(url: string): string {
  return url.replace('127.0.0.1', 'localhost');
}

test.each(failing)(
  '%s is told as its own failure, and not as the outage of the host',
  async (_, options, callback, cause) => {
    const { db, server } = await opened.database({ max: 1 });
    const failed = createDatabase({ hosts: named(server.url), acquireTimeoutMs: 200, ...options });
    opened.add(() => failed.close({ deadlineMs: 0 }));
    const calls = [
      failed.query('select 1'),
      failed.transaction(async () => 1),
      failed.read('any', (reader) => reader.query('select 1')),
      failed.session().query('select 1'),
      failed.batch([{ text: 'select 1' }]),
      failed.acquire(),
    ];
    for (const call of calls) {
      const error = await failureOf(call);
      expect(error).toBeInstanceOf(CallbackFailedError);
      expect(error).toMatchObject({
        code: 'DATABASE_CALLBACK_FAILED',
        callback,
        cause,
        outcome: 'not-applied',
        phase: 'not-sent',
        retryable: true,
      });
      expect(String(error)).not.toMatch(/refuses/);
    }
    expect(failed.health()).toMatchObject({
      level: 'critical',
      hosts: [
        { role: 'unknown', reason: expect.stringContaining(`the ${callback} function failed`) },
      ],
    });
    expect(server.connectionsTotal).toBe(0);
    await db.query('select 1');
  },
);

test('while connections are there, a password function that fails is no outage, and callers wait for one', async () => {
  let isAway = false;
  const { db, server } = await opened.database({
    max: 2,
    password: async () => (isAway ? fail(boom) : 'any'),
  });
  const lease = await db.acquire();
  isAway = true;
  const waiting = db.query('select 1 as one');
  lease.release();
  expect((await waiting).rows).toEqual([{ one: 1 }]);
  expect(db.health().level).toBe('healthy');
  expect(server.sessions()).toHaveLength(1);
  const lost = nextEvent(db, 'lost');
  server.drop();
  await lost;
  expect(await failureOf(db.query('select 1'))).toMatchObject({
    callback: 'password',
    cause: boom,
  });
  isAway = false;
  expect((await db.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(db.health().level).toBe('healthy');
});

test('a caller waits within its time for a secret store that is away for a moment', async () => {
  let calls = 0;
  const { db } = await opened.database({
    password: () => ((calls += 1) < 4 ? Promise.reject(coded) : Promise.resolve('any')),
  });
  await db.query('select 1');
  expect(calls).toBe(4);
});

test('in a cluster a function that fails for all hosts is told, and a known primary stays the primary', async () => {
  let isAway = true;
  const servers = [await opened.database(), await opened.database()].map(({ server }) => server);
  const db = createDatabase({
    hosts: servers.map(({ url }) => url),
    acquireTimeoutMs: 300,
    password: async () => (isAway ? fail(boom) : 'any'),
  });
  opened.add(() => db.close({ deadlineMs: 0 }));
  expect(await failureOf(db.query('select 1'))).toMatchObject({
    callback: 'password',
    cause: boom,
  });
  expect(db.health().hosts.map(({ role }) => role)).toEqual(['unknown', 'unknown']);
  isAway = false;
  await db.query('select 1', [], { timeoutMs: 5_000 });
  expect(db.health().primary).toBeDefined();
});

test('a name that is not found is waited for, whoever looks it up', async () => {
  let calls = 0;
  const missing = Object.assign(new Error('getaddrinfo ENOTFOUND db'), { code: 'ENOTFOUND' });
  const lookup = lookupOf((_: string, { all }: { all?: boolean }, done: Done) => {
    calls += 1;
    if (calls < 3) done(missing);
    else if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
    else done(null, '127.0.0.1', 4);
  });
  const { server } = await opened.database();
  const db = createDatabase({ hosts: named(server.url), lookup });
  opened.add(() => db.close({ deadlineMs: 0 }));
  await db.query('select 1');
  expect(calls).toBe(3);
});
