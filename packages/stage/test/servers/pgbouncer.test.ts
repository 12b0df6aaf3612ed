import { expect, test } from '@jest/globals';
import { honoursServerContract } from '../../src/contract.ts';
import { pgBouncerIni } from '../../src/servers/postgres/pgbouncer.ts';
import { askPostgres } from '../../src/servers/postgres/query.ts';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { postgresRows, underPostgresContract } from './postgres-session.ts';
import { UNHURRIED } from './redis-contract.ts';

honoursServerContract(
  async () => {
    const stage = await openStage({ mode: 'local', postgres: { pgbouncer: true }, ...UNHURRIED });
    const { pgbouncer } = stage.postgres;
    const under = await underPostgresContract(pgbouncer, () => stage.close());
    return { ...under, startLine: /process up/ };
  },
  { name: 'a PgBouncer' },
);

/** What `begin` leaves to the next statement of the same client, and of another one. */
const MODES = [
  ['session', 'session'],
  ['transaction', 'transaction'],
  ['statement', 'statement'],
] as const;

test.each(MODES)('mode %s is that of its pool', async (mode, listed) => {
  const postgres = { pgbouncer: { mode } };
  const stage = closeAfterTest(await openStage({ mode: 'local', postgres }));
  const { pgbouncer, primary } = stage.postgres;
  expect(pgbouncer.mode).toBe(mode);
  const inTransaction = askPostgres(
    pgbouncer,
    { sql: 'begin; select 1' },
    AbortSignal.timeout(10_000),
  );
  expect(await inTransaction).toMatchObject({ kind: mode === 'statement' ? 'error' : 'rows' });
  const pools = await postgresRows(pgbouncer, 'show pools', { database: 'pgbouncer' });
  expect(pools.find(([database]) => database === 'postgres')?.at(-1)).toBe(listed);

  const other = await stage.postgres.createDatabase({ name: 'other' });
  const url = new URL(pgbouncer.databaseUrl('other'));
  expect(other.url).toBe(`postgres://postgres@127.0.0.1:${primary.port}/other`);
  expect(Number(url.port)).toBe(pgbouncer.port);
  const named = await postgresRows(pgbouncer, 'select current_database()', { database: 'other' });
  expect(named).toEqual([['other']]);
});

test('a PgBouncer accepts clients while its Postgres is away, and answers once it is back', async () => {
  const settings = { server_login_retry: '1' };
  const postgres = { pgbouncer: { mode: 'transaction', settings } } as const;
  const stage = closeAfterTest(await openStage({ mode: 'local', postgres }));
  const { pgbouncer, primary } = stage.postgres;
  await postgresRows(pgbouncer, 'select 1');
  await primary.kill();
  const waiting = postgresRows(pgbouncer, 'select 2', { signal: AbortSignal.timeout(30_000) });
  expect(pgbouncer.state).toBe('running');
  await postgresRows(pgbouncer, 'show version', { database: 'pgbouncer' });
  await primary.start();
  expect(await waiting).toEqual([['2']]);
});

test('a PgBouncer in front of the replica refuses writes, and one needs a replica for that', async () => {
  const pgbouncer = { target: 'replica' } as const;
  const stage = closeAfterTest(
    await openStage({ mode: 'local', postgres: { replica: true, pgbouncer } }),
  );
  const { postgres } = stage;
  await expect(postgresRows(postgres.pgbouncer, 'create table a (b int)')).rejects.toThrow('25006');
  await postgres.promote();
  await postgresRows(postgres.pgbouncer, 'create table a (b int)');
  const without = openStage({ mode: 'local', postgres: { pgbouncer } });
  await expect(without).rejects.toMatchObject({ field: 'postgres.pgbouncer.target' });
});

test('a parameter that PgBouncer refuses is an error that quotes it', async () => {
  const postgres = { pgbouncer: { settings: { no_such_setting: '1' } } };
  await expect(openStage({ mode: 'local', postgres })).rejects.toMatchObject({
    code: 'STAGE_SERVER_START_FAILED',
    server: 'postgres.pgbouncer',
    printed: expect.stringContaining('no_such_setting'),
  });
});

test.each(['docker', 'compose'] as const)('mode %s has no PgBouncer and says so', async (mode) => {
  const opening = openStage({ mode, postgres: { pgbouncer: true } });
  await expect(opening).rejects.toMatchObject({
    code: 'STAGE_MODE_UNAVAILABLE',
    message: expect.stringMatching(/PgBouncer.*Use mode 'local'/),
  });
});

test.each([
  [{ mode: 'pooled' }, 'postgres.pgbouncer.mode'],
  [{ target: 'standby' }, 'postgres.pgbouncer.target'],
  [{ settings: { listen_port: '1' } }, 'postgres.pgbouncer.settings.listen_port'],
  [{ settings: { pool_mode: 'session' } }, 'postgres.pgbouncer.settings.pool_mode'],
  [{ settings: { default_pool_size: 5 } }, 'postgres.pgbouncer.settings.default_pool_size'],
  [{ size: 5 }, 'postgres.pgbouncer.size'],
  [false, 'postgres.pgbouncer'],
])('the options %j are refused by naming %s', async (pgbouncer, field) => {
  const wrong: object = { postgres: { pgbouncer } };
  await expect(openStage(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});

test('its pgbouncer.ini passes every database on', () => {
  const ini = pgBouncerIni({ host: '127.0.0.1', port: 5432 }, { pool_mode: 'session' });
  expect(ini).toBe('[databases]\n* = host=127.0.0.1 port=5432\n[pgbouncer]\npool_mode = session\n');
});
