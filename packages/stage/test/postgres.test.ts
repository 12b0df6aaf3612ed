import { expect, test } from '@jest/globals';
import { type ServerUnderContract, honoursServerContract } from '../src/contract.ts';
import { postgresqlConf } from '../src/postgres/node.ts';
import { orphansOf } from '../src/postgres/shared-memory.ts';
import { splitMessages } from '../src/postgres/wire.ts';
import { readProcess } from '../src/process-table.ts';
import { openStage } from '../src/stage.ts';
import { holdingsOf, leftOf, postgresRows } from './postgres-session.ts';

async function openPostgres(): Promise<ServerUnderContract> {
  const stage = await openStage({ mode: 'local', postgres: true });
  const { primary } = stage.postgres;
  await postgresRows(primary, 'create table stored (key text primary key, value text)');
  return {
    server: primary,
    close: () => stage.close(),
    ping: async (signal) => {
      await postgresRows(primary, 'select 1', { signal });
    },
    store: async (key, value, signal) => {
      await postgresRows(primary, `insert into stored values ('${key}', '${value}')`, { signal });
    },
    recall: async (key, signal) => {
      const sql = `select value from stored where key = '${key}'`;
      const [[value = null] = []] = await postgresRows(primary, sql, { signal });
      return value;
    },
    startLine: /database system is ready to accept connections/,
  };
}

honoursServerContract(openPostgres);

test('a kill ends every process of Postgres at once, and the next start recovers from the crash', async () => {
  const stage = await openStage({ mode: 'local', postgres: true });
  try {
    const { primary } = stage.postgres;
    await postgresRows(primary, 'create table kept (value int)');
    const asleep = postgresRows(primary, 'insert into kept values (1); select pg_sleep(60)');
    const { postmaster, others } = await holdingsOf(primary);
    expect(others.length).toBeGreaterThan(3);

    await Promise.all([expect(asleep).rejects.toBeDefined(), primary.kill()]);

    expect([postmaster, ...others].filter((pid) => readProcess(pid) !== undefined)).toEqual([]);
    await primary.start();
    expect(await primary.log()).toContain('was not properly shut down');
    // The statement was one transaction, and it was not finished.
    expect(await postgresRows(primary, 'select * from kept')).toEqual([]);
  } finally {
    await stage.close();
  }
});

test('a freeze makes every process of Postgres stand still, sessions included', async () => {
  const stage = await openStage({ mode: 'local', postgres: true });
  try {
    const { primary } = stage.postgres;
    const asleep = postgresRows(primary, 'select pg_sleep(0.2)');
    const { postmaster, others } = await holdingsOf(primary);
    await primary.freeze();
    const states = [postmaster, ...others].map((pid) => readProcess(pid)?.frozen);
    expect(new Set(states)).toEqual(new Set([true]));
    await primary.thaw();
    expect(await asleep).toHaveLength(1);
  } finally {
    await stage.close();
  }
});

test.each(['running', 'killed', 'frozen'])(
  'close leaves neither folder nor shared memory of a Postgres that is %s',
  async (state) => {
    const stage = await openStage({ mode: 'local', postgres: true });
    const holdings = await holdingsOf(stage.postgres.primary);
    expect(leftOf(holdings)).toHaveLength(2);
    if (state === 'killed') await stage.postgres.primary.kill();
    if (state === 'frozen') await stage.postgres.primary.freeze();
    await stage.close();
    expect(leftOf(holdings)).toEqual([]);
    expect(readProcess(holdings.postmaster)).toBeUndefined();
  },
);

test('the replica has what the primary has written, refuses writes, and takes them once promoted', async () => {
  const stage = await openStage({ mode: 'local', postgres: 'replica' });
  try {
    const { primary, replica } = stage.postgres;
    await postgresRows(primary, 'create table kept (value int); insert into kept values (1)');
    const caughtUp = `select 1 from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()`;
    while ((await postgresRows(primary, caughtUp)).length === 0);
    expect(await postgresRows(replica, 'select * from kept')).toEqual([['1']]);
    await expect(postgresRows(replica, 'insert into kept values (2)')).rejects.toThrow('25006');

    await primary.kill();
    await stage.postgres.promote();

    await postgresRows(replica, 'insert into kept values (2)');
    expect(await postgresRows(replica, 'select * from kept order by 1')).toEqual([['1'], ['2']]);
    await expect(stage.postgres.promote()).rejects.toMatchObject({
      code: 'POSTGRES_REFUSED',
      server: 'postgres.replica',
    });
  } finally {
    await stage.close();
  }
});

test('a replica that was down catches up with what it missed', async () => {
  const stage = await openStage({ mode: 'local', postgres: { replica: true } });
  try {
    const { primary, replica } = stage.postgres;
    await replica.kill();
    await postgresRows(primary, 'create table kept as select generate_series(1, 20000)');
    await replica.start();
    const caughtUp = `select 1 from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()`;
    while ((await postgresRows(primary, caughtUp)).length === 0);
    expect(await postgresRows(replica, 'select count(*) from kept')).toEqual([['20000']]);
  } finally {
    await stage.close();
  }
});

test('a database is a copy of its template, and what one holds the other never sees', async () => {
  const settings = { work_mem: '12345kB', application_name: "it's" };
  const stage = await openStage({ mode: 'local', postgres: { settings } });
  try {
    const { postgres } = stage;
    const template = await postgres.createDatabase({ name: 'schema' });
    const within = (sql: string, database: string): ReturnType<typeof postgresRows> =>
      postgresRows(postgres.primary, sql, { database });
    await within('create table filled as select 1 as value', template.name);
    const [one, two] = [
      await postgres.createDatabase({ template: 'schema' }),
      await postgres.createDatabase({ template: 'schema' }),
    ];
    await within('delete from filled', one.name);
    expect(await within('select * from filled', two.name)).toEqual([['1']]);
    expect(two.url).toBe(`postgres://postgres@127.0.0.1:${postgres.primary.port}/${two.name}`);
    expect(await within('show work_mem', two.name)).toEqual([['12345kB']]);

    const taken = postgres.createDatabase({ name: 'schema' });
    await expect(taken).rejects.toMatchObject({ code: 'POSTGRES_REFUSED', sqlState: '42P04' });
    const wrong = postgres.createDatabase({ name: 'a"; drop' });
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'name' });
  } finally {
    await stage.close();
  }
});

test('a setting Postgres refuses is an error that quotes it, and nothing is left', async () => {
  const opening = openStage({ mode: 'local', postgres: { settings: { no_such_setting: '1' } } });
  await expect(opening).rejects.toMatchObject({
    code: 'SERVER_START_FAILED',
    printed: expect.stringContaining('no_such_setting'),
  });
});

test('of the shared memory only what the process has made and nobody uses is an orphan', () => {
  const listed = [
    '       key      shmid perms                  size  cpid  lpid nattch   uid',
    '   2342957     229427   600                    56 11050 11050      0 65534',
    '   2342958     229428   600                    56 11050 11050      1 65534',
    '   2342959     229429   600                    56 11051 11050      0 65534',
    '',
  ].join('\n');
  expect(orphansOf('11050', listed)).toEqual(['229427']);
});

test('a quote within a setting is doubled', () => {
  expect(postgresqlConf({ a: "it's", b: '' })).toBe("a = 'it''s'\nb = ''\n");
});

test('messages are taken off the wire only when they are whole', () => {
  const wire = Buffer.from([0x5a, 0, 0, 0, 5, 0x49, 0x5a, 0, 0]);
  const { messages, rest } = splitMessages(wire);
  expect(messages.map(({ type, body }) => [type, body.toString()])).toEqual([['Z', 'I']]);
  expect([...rest]).toEqual([0x5a, 0, 0]);
});
