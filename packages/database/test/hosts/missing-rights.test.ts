import { afterEach, expect, test } from '@jest/globals';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import { type Database, type DatabaseOptions, createDatabase } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';
import { startNode, untilRoles, writesOf } from './scripted-host.ts';

const opened = new Opened();
afterEach(() => opened.close());

async function node(name: string, role: 'primary' | 'standby'): Promise<FakePostgres> {
  const server = await startNode(name, role);
  opened.add(() => server.close());
  return server;
}

function open(servers: readonly FakePostgres[], options: Partial<DatabaseOptions> = {}): Database {
  const hosts = servers.map(({ url }) => url);
  const db = createDatabase({ hosts, max: 4, probeIntervalMs: 20, replicaWaitMs: 20, ...options });
  opened.add(() => db.close({ deadlineMs: 0 }));
  return db;
}

/** As on managed servers: the function may not be called, does not exist or is not supported. */
function forbid(server: FakePostgres, name: string, error = '42501'): void {
  const message = `permission denied for function ${name}`;
  server.reply(new RegExp(name), { error, message });
}

const functions = [
  'pg_walfile_name',
  'pg_current_wal_insert_lsn',
  'pg_last_wal_replay_lsn',
  'pg_stat_wal_receiver',
  'pg_control_checkpoint',
];

test.each(
  functions.flatMap((name) => ['42501', '42883', '42P01', '0A000'].map((error) => [name, error])),
)(
  'where %s is answered with %s, a cluster works, and nothing stale is read',
  async (name, error) => {
    const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
    for (const server of [primary, standby]) forbid(server, name, error);
    const db = open([primary, standby]);
    primary.setBehavior({ lsn: '0/2000000' });
    const { token } = await db.transaction((tx) => tx.query('insert into t'));
    await untilRoles(db, ['primary', 'standby']);
    const who = async (consistency: 'any' | { after: typeof token }): Promise<unknown> =>
      (await db.read(consistency, (reader) => reader.query('select who'))).rows[0]?.['who'];
    expect(await who('any')).toBe('standby');
    expect(await who({ after: token })).toBe('primary');
    const session = db.session();
    await session.query('insert into t');
    const read = await session.read((reader) => reader.query('select who'));
    expect(read.rows).toEqual([{ who: 'primary' }]);
    await db.read('strong', (reader) => reader.query('select who'));
    expect(writesOf(primary)).toBe(2);
    // Each connection asks once for what it may not know: an error fills the log of the server.
    const asked = Math.max(
      ...[primary, standby].map((server) => statementsLike(server, new RegExp(name))),
    );
    expect(asked).toBeLessThanOrEqual(20);
  },
);

test('the health of a host tells why its position is not known, in the words of the server', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  forbid(primary, 'pg_walfile_name');
  const db = open([primary, standby]);
  await db.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  expect(db.health().level).toBe('healthy');
  expect(db.health().hosts[0]?.reason).toContain('permission denied for function pg_walfile_name');
});

test('a host that refuses the probe itself is offline with the words of the server', async () => {
  const [one, two] = [await node('one', 'primary'), await node('two', 'standby')];
  for (const server of [one, two]) {
    server.reply(/transaction_read_only/, {
      error: '42501',
      message: 'permission denied for probes',
    });
  }
  const db = open([one, two]);
  const error = await failureOf(db.query('insert into t', [], { timeoutMs: 200 }));
  expect(error).toMatchObject({ code: 'DATABASE_NO_WRITABLE_HOST' });
  expect(String(error)).toContain('permission denied for probes');
  expect(String(error)).not.toContain('[object');
});

test('a fence admits no host whose timeline cannot be read, and says why', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  forbid(primary, 'pg_walfile_name');
  const fence = { load: (): number => 1, store: (): void => undefined };
  const db = open([primary, standby], { fence });
  const error = await failureOf(db.query('insert into t', [], { timeoutMs: 200 }));
  expect(error).toMatchObject({ code: 'DATABASE_NO_WRITABLE_HOST' });
  expect(String(error)).toContain('permission denied for function pg_walfile_name');
  expect(writesOf(primary)).toBe(0);
});
