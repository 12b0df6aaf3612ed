import { expect } from '@jest/globals';
import {
  type ReplicatedPostgresFixture,
  openReplicatedPostgresFixture,
  untilTrue,
} from '../../src/database/postgres-fixture.ts';
import { scenario } from '../../src/database/scenario.ts';

/** What managed servers commonly forbid. */
const FUNCTIONS = [
  'pg_walfile_name(pg_lsn)',
  'pg_current_wal_insert_lsn()',
  'pg_last_wal_replay_lsn()',
  'pg_control_checkpoint()',
];

async function withoutRight(
  fixture: ReplicatedPostgresFixture,
  forbidden: string,
): Promise<{ words: string }> {
  const { ask, primary, replica } = fixture;
  await ask(`revoke execute on function ${forbidden} from public`);
  await ask('create role app login');
  await ask('create table t (v int)');
  await ask('grant all on t to app');
  const granted = 'select count(*)::int as count from pg_roles where rolname = $1';
  await untilTrue(async () => (await ask(granted, ['app'], replica))[0]?.['count'] === 1);
  const hosts = [primary.url, replica.url].map((each) => {
    const url = new URL(each);
    url.username = 'app';
    return url.href;
  });
  const database = fixture.database({ hosts, max: 4, probeIntervalMs: 50 });
  const { token } = await database.transaction((tx) => tx.query('insert into t values (1)'));
  await untilTrue(() => database.health().level === 'healthy');
  const count = 'select count(*)::int as count from t';
  const after = await database.read({ after: token }, (reader) => reader.query(count));
  expect(after.rows).toEqual([{ count: 1 }]);
  const session = database.session();
  for (let written = 2; written <= 20; written += 1) {
    await session.query('insert into t values ($1)', [written]);
    const { rows } = await session.read((reader) => reader.query(count));
    expect(rows).toEqual([{ count: written }]);
  }
  const strong = await database.read('strong', (reader) => reader.query(count));
  expect(strong.rows).toEqual([{ count: 20 }]);
  await database.read('any', (reader) => reader.query(count));
  const words = database
    .health()
    .hosts.map(({ reason }) => reason ?? '')
    .join(' ');
  await database.close();
  await ask('drop owned by app');
  await ask('drop role app');
  await ask('drop table t');
  await ask(`grant execute on function ${forbidden} to public`);
  return { words };
}

scenario(
  {
    promise: 'a role that may not read positions of the log gets writes, reads and its own writes',
    fault: `revoked from public one after the other: ${FUNCTIONS.join(', ')}`,
  },
  openReplicatedPostgresFixture,
  async (fixture) => {
    const words: string[] = [];
    for (const forbidden of FUNCTIONS) words.push((await withoutRight(fixture, forbidden)).words);
    expect(words[0]).toContain('permission denied for function pg_walfile_name');
    expect(words.join()).not.toContain('[object');
    return { accepted: FUNCTIONS.length, delivered: words.length };
  },
);
