import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Database, createDatabase } from '@holdfast/database';
import { type FakePostgres, createFakePostgres } from '@holdfast/emulators/postgres';
import type { GenerationStore } from '../../src/generations/generation-store.ts';
import { createPostgresGenerations, postgresSchemaSql } from '../../src/postgres.ts';
import { bundlesOf, manifestOf } from '../bundles.ts';

const CURRENT = /^select relation, manifest/;

let server: FakePostgres;
let database: Database;
let store: GenerationStore;
beforeEach(async () => {
  const manifest = JSON.stringify(manifestOf(3));
  server = await createFakePostgres({
    script: [
      [CURRENT, { rows: [{ relation: 'catalog_g1_x', manifest }] }],
      [/^select generation, token/, { rows: [{ generation: '0', token: '0' }] }],
      [/^select count/, { rows: [{ count: '3', last: '2' }] }],
      [/^(select pg_advisory|select relation|select set_config)/, { rows: [] }],
      [/^update \S+generations" set state = 'published'/, { command: 'UPDATE 1' }],
      [/^(create|insert|update|alter|lock)/, { command: 'INSERT 0 3' }],
    ],
  });
  database = createDatabase({ hosts: server.url, connectTimeoutMs: 300 });
  store = createPostgresGenerations({ database, timeoutMs: 1_000 });
});
afterEach(async () => {
  await database.close({ deadlineMs: 1 });
  await server.close();
});

test.each([
  ['53100', 'full'],
  ['53200', 'full'],
  ['53300', 'unreachable'],
  ['42501', 'unreachable'],
  ['28P01', 'unreachable'],
  ['57014', 'timeout'],
  ['55P03', 'timeout'],
  ['XX001', 'damaged'],
  ['22P02', 'refused'],
])(
  'the SQLSTATE %s of a load is %s, and what was staged is not published',
  async (error, reason) => {
    const staged = await store.stage({ generation: 1, token: 1 });
    server.reply(/^insert into "public"."catalog_g1_/, { error });
    await staged.add(bundlesOf(3));
    const failure = { code: 'CATALOG_STORE', reason, outcome: 'not-applied' };
    await expect(staged.publish(manifestOf(3))).rejects.toMatchObject(failure);
    await expect(staged.publish(manifestOf(3))).rejects.toMatchObject({ reason: 'closed' });
    expect(server.statements().some((sql) => sql.includes(`set state = 'published'`))).toBe(false);
  },
);

test('a catalog that nobody has begun has no generation', async () => {
  server.reply(CURRENT, { error: '42P01' });
  expect(await store.current()).toBeUndefined();
  expect(await store.open()).toBeUndefined();
});

test('a server that does not answer is given up in time, and one that is away is unreachable', async () => {
  server.reply(CURRENT, 'never');
  await expect(store.current()).rejects.toMatchObject({ reason: 'timeout' });
  await server.stop();
  await expect(store.current()).rejects.toMatchObject({ reason: 'unreachable' });
});

test('a manifest that is none is damaged', async () => {
  server.reply(CURRENT, { rows: [{ relation: 'x', manifest: '{"generation":"1"}' }] });
  await expect(store.current()).rejects.toMatchObject({ reason: 'damaged' });
});

test.each(['', 'Catalog', 'a-b', '1a', 'a"b', "a'b", 'a b', 'é', 'a'.repeat(31), 5, null])(
  'the prefix %j is refused',
  (prefix) => {
    // @ts-expect-error -- among them are some that no type permits
    expect(() => createPostgresGenerations({ database, prefix })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field: 'prefix' }),
    );
    // @ts-expect-error -- the same
    expect(() => postgresSchemaSql({ prefix })).toThrow(
      expect.objectContaining({ field: 'prefix' }),
    );
  },
);

test.each([
  { generation: -1, token: 1 },
  { generation: 1.5, token: 1 },
  { generation: 1, token: Number.NaN },
])('the place %o is refused', async (place) => {
  await expect(store.stage(place)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
});

test('the connections are given once, and credentials are in no error', () => {
  const url = 'postgres://user:secret@127.0.0.1:1/x';
  expect(() => createPostgresGenerations({})).toThrow(/url instead/);
  expect(() => createPostgresGenerations({ database, url })).toThrow(/beside url/);
  expect(() => createPostgresGenerations({ url: 'ftp://user:secret@host' })).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining('secret') }),
  );
});
