import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type PostgresFaultProxy, createPostgresFaultProxy } from '@holdfast/faults';
import { type Stage, openStage } from '@holdfast/stage';
import { Client, type ClientConfig } from 'pg';
import postgresJs from 'postgres';

let stage: Stage<{ mode: 'local'; postgres: 'replica' }>;
let proxy: PostgresFaultProxy;

const FIXTURE = `
  create table items (id int primary key, note text);
  insert into items values (1, 'one'), (2, 'two');
  create table copies (like items);
  create sequence numbers;
  create view next_number as select nextval('numbers') as number;
  create function store(note text) returns int language plpgsql as
    $$ begin insert into items values (99, note); return 1; end $$;
  create function count_items() returns bigint language sql as 'select count(*) from items';
  create procedure store_all() language plpgsql as
    $$ begin insert into items values (98, 'x'); commit; end $$;
  create procedure read_all() language plpgsql as $$ begin perform 1 from items; commit; end $$`;

beforeAll(async () => {
  stage = await openStage({ mode: 'local', postgres: 'replica' });
  const { host, port } = stage.postgres.primary;
  proxy = await createPostgresFaultProxy({ target: { host, port }, seed: 4 });
  await withClient(direct(), (client) => client.query(FIXTURE));
});
beforeEach(() => proxy.heal());
afterAll(async () => {
  await proxy?.close();
  await stage?.close();
});

const direct = (): ClientConfig => {
  const { host, port } = stage.postgres.primary;
  return { host, port, user: 'postgres' };
};
const readOnly = (): ClientConfig => ({
  ...direct(),
  options: '-c default_transaction_read_only=on',
});
const through = (): ClientConfig => ({ host: proxy.host, port: proxy.port, user: 'postgres' });
const standby = (): ClientConfig => {
  const { host, port } = stage.postgres.replica;
  return { host, port, user: 'postgres' };
};

async function withClient<T>(
  config: ClientConfig,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client(config);
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

interface Outcome {
  readonly code?: string;
  readonly message?: string;
  readonly position?: string;
  readonly command?: string | readonly string[];
}

async function outcomeOf(run: Promise<unknown>): Promise<Outcome> {
  try {
    const result = await run;
    const all: unknown[] = Array.isArray(result) ? result : [result];
    return { command: all.map((one) => (isResult(one) ? `${one.command} ${one.rowCount}` : '')) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    const { code, message, position } = error;
    return { code, message, ...(position !== undefined && { position }) };
  }
}
const isResult = (value: unknown): value is { command: string; rowCount: number | null } =>
  typeof value === 'object' && value !== null && 'command' in value;
const isFailure = (error: unknown): error is { code: string; message: string; position?: string } =>
  error instanceof Error && 'code' in error;

/** Statements of one session each; `|` separates those that are sent one after the other. */
const stories = [
  "insert into items values (3, 'three')",
  "insert into items values (3, 'three') returning id",
  "update items set note = 'x' where id = 1",
  'delete from items',
  'truncate items',
  "merge into items using copies on items.id = copies.id when not matched then insert values (7, 'x')",
  'with gone as (delete from items returning *) select * from gone',
  "with them as (select 1) insert into items select 5, 'x'",
  "with names as (select 'insert into items' as sql) select * from names",
  'select * into other from items',
  'create table other as select * from items',
  'create table other (id int)',
  'create temp table other (id int)',
  'create index on items (note)',
  'create sequence other',
  'create database other',
  'create role other',
  "comment on table items is 'x'",
  'grant select on items to public',
  'alter table items add column more int',
  'drop table items',
  'reindex table items',
  'analyze items',
  'vacuum items',
  'refresh materialized view nothing',
  "select nextval('numbers')",
  "select setval('numbers', 5)",
  'select * from next_number',
  "select store('x')",
  'select count_items()',
  "select 1 where 'a' = 'insert into items'",
  'select 1 -- insert into items',
  '/* insert /* into */ items */ select 1',
  '/* select */ insert into items values (4)',
  'select $$insert into items$$, $tag$ ; delete from items; $tag$',
  'select "note" from items as "insert"',
  'select * from items for update',
  'select * from items for share',
  'select * from items for key share of items',
  'explain insert into items values (5)',
  'explain analyze insert into items values (5)',
  'explain (analyze, costs off) delete from items',
  'explain analyze select 1',
  "do $$ begin insert into items values (6, 'x'); end $$",
  'do $$ begin perform 1 from items; end $$',
  "do 'begin perform nextval(''numbers''); end'",
  'call store_all()',
  'call read_all()',
  "prepare put as insert into items values (8, 'x')|execute put",
  'prepare get as select * from items|execute get|deallocate get',
  'copy items from stdin',
  'copy items to stdout',
  "copy (select 1) to program 'cat > /dev/null'",
  'lock table items in access exclusive mode',
  'lock table items in share mode',
  'select lo_create(0)',
  'select pg_advisory_lock(1), pg_advisory_unlock(1)',
  "select pg_notify('a', 'b')",
  "notify a, 'b'",
  'listen a|unlisten a',
  "set application_name = 'x'|show application_name",
  "begin|insert into items values (9, 'x')|rollback",
  'begin|select 1|select count(*) from items|commit',
  "begin|select 1|update items set note = 'y'|select 1|rollback|select 2",
  'begin|savepoint a|delete from items|rollback to savepoint a|select 1|release savepoint a|commit',
  'begin|declare c cursor for select * from items|fetch 1 from c|move 1 from c|close c|commit',
  "begin|declare c cursor for select nextval('numbers')|fetch 1 from c|rollback",
  'begin|lock table items in access share mode|commit',
  'begin isolation level serializable|select 1|delete from items|rollback',
  'begin read only|select 1|delete from items|rollback',
  'begin|set transaction isolation level repeatable read|select 1|commit',
  "begin; insert into items values (10, 'x')|rollback",
  'begin; select 1; delete from items; commit|rollback|select 1',
  "select 1; insert into items values (11, 'x'); select 2",
  'begin; select 1; commit; delete from items|select 1',
  'select 1; select 2',
  'begin; select 1|delete from items|rollback',
  'commit|rollback',
  'selec 1',
  'select * from nowhere',
  'insert into nowhere values (1)',
  ';',
  '',
  'show transaction_read_only',
  'select pg_is_in_recovery()',
  'values (1), (2)',
  'table items',
  '(select 1) union (select 2)',
  'security label on table items is null',
];
// A copy would wait for data that these tests do not send.
const isCopyOut = (sql: string): boolean => /^copy .* to stdout/.test(sql);

async function play(
  config: ClientConfig,
  story: string,
  way: 'simple' | 'extended' | 'named',
): Promise<Outcome[]> {
  return withClient(config, async (client) => {
    const outcomes: Outcome[] = [];
    for (const [index, text] of story.split('|').entries()) {
      const name = way === 'named' ? { name: `s${index}` } : {};
      // Its types do not know the mode.
      const extended = { text, values: [], queryMode: 'extended', ...name };
      const query = client.query(way === 'simple' ? { text } : extended);
      outcomes.push(await outcomeOf(query));
    }
    return outcomes;
  });
}

test('there are more than sixty statements', () => {
  expect(stories.length).toBeGreaterThan(60);
});

test.each(['simple', 'extended', 'named'] as const)(
  'the fault refuses what a read-only server refuses, and nothing else, in the %s protocol',
  async (way) => {
    proxy.faults.set('25006');
    const differing: unknown[] = [];
    for (const story of stories.filter((sql) => !isCopyOut(sql))) {
      const expected = await play(readOnly(), story, way);
      const got = await play(through(), story, way);
      if (JSON.stringify(got) !== JSON.stringify(expected))
        differing.push({ story, got, expected });
    }
    expect(differing).toEqual([]);
    proxy.heal();
    const { rows } = await withClient(direct(), (client) =>
      client.query('select count(*)::int from items'),
    );
    expect(rows).toEqual([{ count: 2 }]);
  },
);

test('what a standby refuses as read-only, the fault refuses too', async () => {
  proxy.faults.set('25006');
  const missed: unknown[] = [];
  for (const story of stories.filter((sql) => !sql.includes('|') && !isCopyOut(sql))) {
    const [expected] = await play(standby(), story, 'simple');
    const [got] = await play(through(), story, 'simple');
    // What only a recovery forbids, its message says.
    const isRecovery = expected?.message?.includes('during recovery') === true;
    if (expected?.code === '25006' && !isRecovery && got?.code !== '25006')
      missed.push({ story, got });
  }
  expect(missed).toEqual([]);
});

test('a session is what it was once a statement has passed or was refused, and after the fault', async () => {
  await withClient(through(), async (client) => {
    const settings = async (): Promise<unknown> =>
      (await client.query('show default_transaction_read_only')).rows[0];
    proxy.faults.set('25006', { containing: 'items' });
    await client.query('select count(*) from items');
    await expect(client.query('delete from items')).rejects.toMatchObject({ code: '25006' });
    expect(await settings()).toEqual({ default_transaction_read_only: 'off' });
    await client.query('create temp table mine (id int)');
    await client.query('begin');
    await client.query('select count(*) from items');
    await client.query('create temp table more (id int)');
    await client.query('insert into more values (1)');
    await client.query('commit');
    await client.query('begin');
    await expect(client.query('delete from items')).rejects.toMatchObject({ code: '25006' });
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('rollback');
    await client.query('begin; select count(*) from items');
    proxy.heal();
    await client.query('commit');
    await client.query('create temp table last (id int)');
    expect(await settings()).toEqual({ default_transaction_read_only: 'off' });
    await client.query('set default_transaction_read_only = on');
    proxy.faults.set('25006');
    await client.query('select 1');
    proxy.heal();
    expect(await settings()).toEqual({ default_transaction_read_only: 'on' });
  });
});

test('only refused statements count, and reads give their turn back', async () => {
  await withClient(through(), async (client) => {
    proxy.faults.set('25006', { times: 2 });
    const before = proxy.getStats().injected['25006'] ?? 0;
    for (let index = 0; index < 5; index += 1) await client.query('select $1::int', [index]);
    await expect(client.query('delete from items')).rejects.toMatchObject({ code: '25006' });
    await expect(client.query('delete from items where id = $1', [7])).rejects.toMatchObject({
      code: '25006',
    });
    await client.query('delete from items where id = $1', [7]);
    expect(proxy.getStats().injected['25006']).toBe(before + 2);
  });
});

test('statements that are named are refused by their first word, without the server', async () => {
  proxy.faults.set('25006', { statements: ['select'] });
  await withClient(through(), async (client) => {
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25006' });
    await client.query('update items set note = note');
  });
});

test('requests that are sent together keep their order and their answers', async () => {
  proxy.faults.set('25006');
  await withClient(through(), async (client) => {
    const notified = new Promise((resolve) => client.once('notification', resolve));
    await client.query('listen news');
    const sent = [
      'begin',
      'select 1',
      "insert into items values (20, 'x')",
      'rollback',
      'select 2',
    ];
    const outcomes = await Promise.all(sent.map((sql) => outcomeOf(client.query(sql))));
    expect(outcomes).toMatchObject([{}, {}, { code: '25006' }, {}, { command: ['SELECT 1'] }]);
    await withClient(direct(), (other) => other.query("notify news, 'here'"));
    for (let index = 0; index < 20; index += 1) await client.query('select 1');
    expect(await notified).toMatchObject({ channel: 'news', payload: 'here' });
  });
});

test('a client that flushes before it binds, and COPY, agree as well', async () => {
  proxy.faults.set('25006');
  const sql = postgresJs({ host: proxy.host, port: proxy.port, user: 'postgres', max: 1 });
  try {
    expect([...(await sql`select count(*)::int as count from items where id < ${9}`)]).toEqual([
      { count: 2 },
    ]);
    const refused = { code: '25006' };
    await expect(sql`insert into items values (${30}, 'x')`).rejects.toMatchObject(refused);
    await expect(sql`insert into items values (${30}, 'x')`).rejects.toMatchObject(refused);
    await expect(sql.begin((tx) => tx`delete from items where id = ${1}`)).rejects.toMatchObject(
      refused,
    );
    const notes: string[] = [];
    for await (const [row] of sql<{ note: string }[]>`select note from items`.cursor(1))
      notes.push(row?.note ?? '');
    await sql.begin(async (tx) => {
      for await (const [row] of tx<{ note: string }[]>`select note from items`.cursor(1))
        notes.push(row?.note ?? '');
    });
    expect(notes).toEqual(['one', 'two', 'one', 'two']);
    const out = await sql`copy items to stdout`.readable();
    let text = '';
    for await (const bytes of out) text += String(bytes);
    expect(text).toBe('1\tone\n2\ttwo\n');
    proxy.heal();
    const into = await sql`copy copies from stdin`.writable();
    into.end('3\tthree\n');
    await new Promise((resolve) => into.once('finish', resolve));
    proxy.faults.set('25006');
    expect([...(await sql`select note from copies`)]).toEqual([{ note: 'three' }]);
  } finally {
    await sql.end();
  }
});
