import { expect, test } from '@jest/globals';
import { type ServerUnderContract, honoursServerContract } from '../../src/contract.ts';
import { postgresqlConf } from '../../src/servers/postgres/node.ts';
import { openStage } from '../../src/stage.ts';
import { UNHURRIED } from './redis-contract.ts';
import { mode, postgresRows, underPostgresContract, versionsHere } from './postgres-session.ts';

const versions = await versionsHere();

async function openPostgres(version: number): Promise<ServerUnderContract> {
  const stage = await openStage({ mode, postgres: { version }, ...UNHURRIED });
  return underPostgresContract(stage.postgres.primary, () => stage.close());
}

for (const version of versions) {
  const kills = mode === 'docker' ? 2 : 5;
  honoursServerContract(() => openPostgres(version), { kills, name: `Postgres ${version}` });
}

test.each(versions)(
  'the replica has the primary’s writes, refuses its own, and accepts them once promoted (Postgres %d)',
  async (version) => {
    const stage = await openStage({ mode, postgres: { version, replica: true } });
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
        code: 'STAGE_POSTGRES_REFUSED',
        server: 'postgres.replica',
      });
    } finally {
      await stage.close();
    }
  },
);

test.each(versions)(
  'a replica of a primary with less of everything than the default starts (Postgres %d)',
  async (version) => {
    const settings = {
      max_connections: '60',
      max_worker_processes: '4',
      max_wal_senders: '5',
      max_locks_per_transaction: '32',
    };
    const stage = await openStage({ mode, postgres: { version, replica: true, settings } });
    try {
      const { primary, replica } = stage.postgres;
      expect(await postgresRows(primary, 'show max_connections')).toEqual([['60']]);
      await replica.kill();
      await replica.start();
      expect(await postgresRows(replica, 'select pg_is_in_recovery()')).toEqual([['t']]);
    } finally {
      await stage.close();
    }
  },
);

test.each(versions)(
  'a replica that was down catches up with the writes it missed (Postgres %d)',
  async (version) => {
    const stage = await openStage({ mode, postgres: { version, replica: true } });
    try {
      const { primary, replica } = stage.postgres;
      await replica.kill();
      await expect(stage.postgres.promote()).rejects.toMatchObject({
        code: 'STAGE_STATE',
        server: 'postgres.replica',
        verb: 'promote',
        state: 'stopped',
      });
      await postgresRows(primary, 'create table kept as select generate_series(1, 20000)');
      await replica.start();
      const caughtUp = `select 1 from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()`;
      while ((await postgresRows(primary, caughtUp)).length === 0);
      expect(await postgresRows(replica, 'select count(*) from kept')).toEqual([['20000']]);
    } finally {
      await stage.close();
    }
  },
);

test.each(versions)(
  'a database is a copy of its template, and neither sees later writes of the other (Postgres %d)',
  async (version) => {
    const settings = { work_mem: '12345kB', application_name: "it's" };
    const stage = await openStage({ mode, postgres: { version, settings } });
    try {
      const { postgres } = stage;
      const template = await postgres.createDatabase({ name: 'schema' });
      // Both templates exist as soon as it is open, although the server starts without them.
      await postgres.createDatabase({ template: 'template0' });
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
      await expect(taken).rejects.toMatchObject({
        code: 'STAGE_POSTGRES_REFUSED',
        sqlState: '42P04',
      });
      const wrong = postgres.createDatabase({ name: 'a"; drop' });
      await expect(wrong).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'name' });
    } finally {
      await stage.close();
    }
  },
);

test('a setting that Postgres refuses is an error that quotes it, and nothing is left', async () => {
  const opening = openStage({ mode, postgres: { settings: { no_such_setting: '1' } } });
  await expect(opening).rejects.toMatchObject({
    code: 'STAGE_SERVER_START_FAILED',
    printed: expect.stringContaining('no_such_setting'),
  });
});

test('a quote within a setting is doubled', () => {
  expect(postgresqlConf({ a: "it's", b: '' })).toBe("a = 'it''s'\nb = ''\n");
});
