import { inspect } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { createDatabase } from '../src/index.ts';
import { createReplicatedStore } from '../src/replicated/index.ts';

const opened: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

const url = 'postgres://user:hunter2@db.example:5432/shop';

/** Calls as plain JavaScript would, past the types. */
function call(target: object, method: string, ...given: unknown[]): unknown {
  const found: unknown = Reflect.get(target, method);
  if (typeof found !== 'function') throw new TypeError(`no method ${method}`);
  return Reflect.apply(found, target, given);
}

function circle(): unknown {
  const self: Record<string, unknown> = {};
  self['self'] = self;
  return self;
}

function create(options: unknown): unknown {
  return Reflect.apply(createDatabase, undefined, [options]);
}

test.each<[string, unknown, string]>([
  ['no options', undefined, 'hosts'],
  ['no hosts', {}, 'hosts'],
  ['an empty list of hosts', { hosts: [] }, 'hosts'],
  ['a word for a URL', { hosts: 'localhost' }, 'hosts'],
  ['another protocol', { hosts: 'mysql://u:hunter2@h/db' }, 'hosts'],
  ['a URL without a host', { hosts: 'postgres:///db' }, 'hosts'],
  ['a port out of range', { hosts: 'postgres://u:hunter2@h:99999/db' }, 'hosts'],
  ['several hosts in one URL', { hosts: 'postgres://u:hunter2@a:1,b:2/db' }, 'hosts'],
  ['several names in one URL', { hosts: 'postgres://u:hunter2@a,b/db' }, 'hosts'],
  ['a broken escape', { hosts: 'postgres://u:%zz@h/db' }, 'hosts'],
  ['a number among the hosts', { hosts: [url, 7] }, 'hosts[1]'],
  ['a host named twice', { hosts: [url, url] }, 'hosts[1]'],
  ['max 0', { hosts: url, max: 0 }, 'max'],
  ['a fraction of a connection', { hosts: url, max: 1.5 }, 'max'],
  ['a negative deadline', { hosts: url, acquireTimeoutMs: -1 }, 'acquireTimeoutMs'],
  ['a deadline of a thousand years', { hosts: url, queryTimeoutMs: 3.2e13 }, 'queryTimeoutMs'],
  ['an endless deadline', { hosts: url, queryTimeoutMs: Infinity }, 'queryTimeoutMs'],
  ['a password that is a number', { hosts: url, password: 1 }, 'password'],
  [
    'delays upside down',
    { hosts: url, reconnect: { initialDelayMs: 9, maxDelayMs: 3 } },
    'reconnect.initialDelayMs',
  ],
  ['an unknown option', { hosts: url, maximum: 3 }, 'maximum'],
])('rejects %s by name, without any secret in the message', (_, options, field) => {
  let thrown: unknown;
  try {
    create(options);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'INVALID_OPTION', field });
  expect(String(thrown)).not.toContain('hunter2');
});

test('a secret in the field of another option is shown nowhere', async () => {
  const database = createDatabase({ hosts: url });
  opened.push(() => database.close());
  const calls: [string, () => unknown][] = [
    ['passwort', () => create({ hosts: url, passwort: 'hunter2' })],
    ['connectionString', () => create({ hosts: url, connectionString: url })],
    ['pin', () => create({ hosts: url, pin: 271_828 })],
    ['auth', () => create({ hosts: url, auth: { password: 'hunter2', pin: 271_828 } })],
    ['password', () => call(database, 'transaction', async () => 1, { password: 'hunter2' })],
    [
      'password',
      () => Reflect.apply(createReplicatedStore, undefined, [{ regions: [], password: 'hunter2' }]),
    ],
  ];
  for (const [field, each] of calls) {
    const error = await Promise.resolve()
      .then(each)
      .catch((thrown: unknown) => thrown);
    const shown = inspect(error, { depth: 9 });
    expect([field, shown]).toEqual([field, expect.stringContaining(field)]);
    expect(shown).not.toMatch(/hunter2|271.?828/);
  }
});

test('an ssl that is none is refused in words', () => {
  expect(() => create({ hosts: url, ssl: 'yes' })).toThrow(
    /ssl must be true, false or TLS options, but is/,
  );
});

test.each<[string, string, unknown[], string]>([
  ['no statement', 'query', [undefined], 'statement'],
  ['a statement that is a number', 'query', [7], 'statement'],
  ['an undefined parameter', 'query', ['select $1, $2', [1, undefined]], 'values[1]'],
  ['parameters that are no array', 'query', ['select $1', 'one'], 'values'],
  [
    'a hole among the parameters',
    'query',
    ['select $1, $2', Array.from({ length: 2 })],
    'values[0]',
  ],
  ['a parameter that is a circle', 'query', ['select $1', [circle()]], 'values[0]'],
  ['a circle in an array', 'query', ['select $1', [[1, circle()]]], 'values[0]'],
  ['a circle in a batch', 'batch', [[{ text: 'select $1', values: [circle()] }]], 'values[0]'],
  ['a bigint inside JSON', 'query', ['select $1', [{ sum: 1n }]], 'values[0]'],
  ['a promise nobody awaited', 'query', ['select $1, $2', [1, Promise.resolve(1)]], 'values[1]'],
  ['a Map', 'query', ['select $1', [new Map([[1, 2]])]], 'values[0]'],
  ['a Set in an array', 'query', ['select $1', [[new Set([1])]]], 'values[0]'],
  ['an ArrayBuffer', 'query', ['select $1', [new ArrayBuffer(8)]], 'values[0]'],
  ['an invalid date', 'query', ['select $1', [new Date(Number.NaN)]], 'values[0]'],
  ['a function', 'query', ['select $1', [() => 1]], 'values[0]'],
  ['a symbol', 'query', ['select $1', [Symbol('x')]], 'values[0]'],
  ['a zero byte in the text', 'query', ["select 'a\0b'"], 'statement'],
  ['a name too long', 'query', [{ text: 'select 1', name: 'x'.repeat(64) }], 'statement.name'],
  ['an unknown row mode', 'query', [{ text: 'select 1', rowMode: 'tuple' }], 'statement.rowMode'],
  ['a deadline of 0', 'query', ['select 1', [], { timeoutMs: 0 }], 'timeoutMs'],
  ['a negative deadline', 'query', ['select 1', [], { timeoutMs: -5 }], 'timeoutMs'],
  [
    'a deadline that is no number',
    'query',
    ['select 1', [], { timeoutMs: Number.NaN }],
    'timeoutMs',
  ],
  ['a signal that is none', 'query', ['select 1', [], { signal: 'stop' }], 'signal'],
  ['options that are a number', 'query', ['select 1', [], 5], 'options'],
  ['a deadline of 0 to acquire', 'acquire', [{ timeoutMs: 0 }], 'timeoutMs'],
  ['a transaction without a function', 'transaction', ['insert'], 'work'],
  ['an unknown isolation', 'transaction', [() => 1, { isolation: 'total' }], 'isolation'],
  ['negative retries', 'transaction', [() => 1, { maxRetries: -1 }], 'maxRetries'],
  ['a signal that is none', 'transaction', [() => 1, { signal: 'stop' }], 'signal'],
  ['a read without a function', 'read', ['any', undefined], 'work'],
  ['an unknown consistency', 'read', ['fresh', () => 1], 'consistency'],
  ['a token that is none', 'read', [{ after: 'yesterday' }, () => 1], 'consistency.after'],
  [
    'a token with a broken place',
    'read',
    [{ after: { timeline: 1, lsn: 'x' } }, () => 1],
    'consistency.after',
  ],
  ['a negative lag', 'read', [{ maxLagMs: -1 }, () => 1], 'consistency.maxLagMs'],
  ['an unknown option', 'query', ['select 1', [], { timeout: 5 }], 'timeout'],
  ['options that are a list', 'query', ['select 1', [], []], 'options'],
  ['no options', 'query', ['select 1', [], null], 'options'],
  ['a word for idempotent', 'query', ['select 1', [], { idempotent: 'yes' }], 'idempotent'],
  ['an option in the statement', 'query', [{ text: 'x', timeoutMs: 5 }], 'statement.timeoutMs'],
  ['an unknown option', 'batch', [[{ text: 'x' }], { atomic: true }], 'atomic'],
  ['an option in a batch', 'batch', [[{ text: 'x', idempotent: true }]], 'statement.idempotent'],
  ['an unknown option', 'read', ['any', () => 1, { replica: true }], 'replica'],
  ['an option of statements', 'read', ['any', () => 1, { idempotent: true }], 'idempotent'],
  ['an unknown option', 'acquire', [{ timeout: 5 }], 'timeout'],
  ['an unknown option', 'transaction', [() => 1, { retries: 5 }], 'retries'],
  ['no options', 'transaction', [() => 1, null], 'options'],
  ['an unknown option', 'close', [{ timeoutMs: 5 }], 'timeoutMs'],
  ['an empty batch', 'batch', [[]], 'statements'],
  ['a batch of undefined', 'batch', [[undefined]], 'statement'],
  ['a deadline of the end below 0', 'end', [{ deadlineMs: -1 }], 'deadlineMs'],
])('rejects %s, and sends nothing', async (_, method, given, field) => {
  const server = await createFakePostgres({});
  opened.push(() => server.close());
  const db = createDatabase({ hosts: server.url });
  opened.push(() => db.close({ deadlineMs: 0 }));
  await expect(call(db, method, ...given)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
  expect(server.connectionsTotal).toBe(0);
});

test('handles of the database refuse what they do not know, too', async () => {
  const server = await createFakePostgres({});
  opened.push(() => server.close());
  const db = createDatabase({ hosts: server.url });
  opened.push(() => db.close({ deadlineMs: 0 }));
  const unknown = ['select 1', [], { timeout: 5 }];
  const refused = (field: string): object => ({ code: 'INVALID_OPTION', field });
  expect(() => call(db, 'session', { after: undefined })).toThrow(
    expect.objectContaining(refused('options')),
  );
  const session = db.session();
  await expect(call(session, 'query', ...unknown)).rejects.toMatchObject(refused('timeout'));
  await expect(call(session, 'read', () => 1, { timeout: 5 })).rejects.toMatchObject(
    refused('timeout'),
  );
  await expect(call(session, 'transaction', () => 1, { timeout: 5 })).rejects.toMatchObject(
    refused('timeout'),
  );
  await db.transaction(async (tx) => {
    await expect(call(tx, 'query', ...unknown)).rejects.toMatchObject(refused('timeout'));
    const nested = call(tx, 'transaction', () => 1, { isolation: 'serializable' });
    await expect(nested).rejects.toMatchObject(refused('options'));
  });
  await db.read('any', async (reader) => {
    await expect(call(reader, 'query', ...unknown)).rejects.toMatchObject(refused('timeout'));
  });
  const lease = await db.acquire();
  await expect(call(lease, 'query', ...unknown)).rejects.toMatchObject(refused('timeout'));
  lease.release();
  const store = createReplicatedStore({ regions: [{ name: 'one', database: db }] });
  for (const each of [{ timeoutMs: 5 }, null, { signal: 5 }, 5]) {
    await expect(call(store, 'read', 'k', each)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await expect(call(store, 'write', 'k', 1, each)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  }
  await store.close();
});

test.each(['nope', 'toString', undefined])(
  'a listener of %s is refused with the events named',
  (kind) => {
    const db = createDatabase({ hosts: url });
    opened.push(() => db.close({ deadlineMs: 0 }));
    expect(() => call(db, 'on', kind, () => undefined)).toThrow(
      /on: kind must be one of "connected", "connect-failed", "lost"/,
    );
  },
);
