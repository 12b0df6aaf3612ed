import { afterEach, expect, test } from '@jest/globals';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import { nextEvent } from '@holdfast/foundation';
import { type Database, type Session, type Token, createDatabase } from '../../src/index.ts';
import { Opened, failureOf } from '../open-database.ts';
import { startNode, untilRoles, writesOf } from './scripted-host.ts';

const opened = new Opened();
afterEach(() => opened.close());

async function node(role: 'primary' | 'standby', timeline: number): Promise<FakePostgres> {
  const server = await startNode(role, role, timeline);
  opened.add(() => server.close());
  return server;
}

/** @param recovered where the recovery of the server ended, as by its promotion; `null` after a restart. */
async function promoted(recovered: string | null, lsn = '0/9000000'): Promise<FakePostgres> {
  const server = await node('primary', 2);
  server.setBehavior({ lsn });
  server.reply(/as recovered .*where not pg_is_in_recovery/s, () => ({
    rows: [{ lsn: server.behavior.lsn, timeline: '00000002', recovered }],
    command: 'SELECT',
  }));
  return server;
}

function open(...servers: readonly FakePostgres[]): Database {
  const hosts = servers.map(({ url }) => url);
  const db = createDatabase({ hosts, max: 4, probeIntervalMs: 20, queryTimeoutMs: 5_000 });
  opened.add(() => db.close({ deadlineMs: 0 }));
  return db;
}

const TOKEN: Token = { timeline: 1, lsn: '0/6019D0' };

type Call = (db: Database, token: Token) => Promise<unknown>;

const inSession =
  (call: (session: Session) => Promise<unknown>): Call =>
  (db, token) => {
    const session = db.session();
    session.observe(token);
    return call(session);
  };

const calls: Readonly<Record<string, Call>> = {
  'read after it': (db, token) => db.read({ after: token }, (reader) => reader.query('select who')),
  'read of a session': inSession((session) => session.read((reader) => reader.query('select who'))),
  'query of a session': inSession((session) => session.query('insert into t')),
  'transaction of a session': inSession((session) =>
    session.transaction((tx) => tx.query('insert into t')),
  ),
};

test.each(Object.keys(calls))(
  'a %s rejects where the promotion lost the position of the token',
  async (call) => {
    for (const [recovered, lsn] of [
      ['0/6019A0', '0/9000000'],
      [null, '0/601990'],
    ] as const) {
      const primary = await promoted(recovered, lsn);
      const db = open(primary);
      const failure = await failureOf(calls[call]?.(db, TOKEN) ?? Promise.resolve());
      expect(failure).toMatchObject({
        code: 'DATABASE_TOKEN_LOST',
        outcome: 'not-applied',
        retryable: false,
        token: TOKEN,
        message: expect.stringMatching(/0\/6019D0 of timeline 1: .*timeline 2.*new session/),
      });
      expect(writesOf(primary)).toBe(0);
    }
  },
);

test.each(Object.keys(calls))(
  'a %s goes on where the promotion lost nothing of the token',
  async (call) => {
    for (const recovered of ['0/6019D0', '0/7000000']) {
      await calls[call]?.(open(await promoted(recovered)), TOKEN);
    }
    // The position of an insertion at the start of a page is behind its header, where no record ends.
    await calls[call]?.(open(await promoted('0/602000')), { timeline: 1, lsn: '0/602018' });
    // Without the right to ask it cannot be known.
    const denied = await promoted('0/6019A0');
    denied.reply(/pg_last_wal_replay_lsn/, { error: '42501', message: 'permission denied' });
    const answered = calls[call]?.(open(denied), TOKEN).then(() => true);
    expect(await answered).toBe(true);
  },
);

test('a standby on a later timeline does not tell where that began, so the primary answers', async () => {
  const [primary, standby] = [await promoted('0/6019A0'), await node('standby', 2)];
  standby.setBehavior({ replayLsn: '0/8000000' });
  const db = open(primary, standby);
  await db.query('select who');
  await untilRoles(db, ['primary', 'standby']);
  const lost = failureOf(calls['read after it']?.(db, TOKEN) ?? Promise.resolve());
  expect(await lost).toMatchObject({ code: 'DATABASE_TOKEN_LOST' });
  const known = { timeline: 2, lsn: '0/7000000' };
  expect(await calls['read after it']?.(db, known)).toMatchObject({ rows: [{ who: 'standby' }] });
});

test('a session says once that its writes were lost, also after a failed call, and a new one goes on', async () => {
  const primary = await promoted('0/6019A0');
  const db = open(primary);
  const session = db.session();
  session.observe(TOKEN);
  const said = nextEvent(db, 'token-lost');
  let events = 0;
  db.on('token-lost', () => (events += 1));
  for (const call of ['read', 'query', 'read'] as const) {
    const failure = await failureOf(
      call === 'query'
        ? session.query('insert into t')
        : session.read((reader) => reader.query('select who')),
    );
    expect(failure).toMatchObject({ code: 'DATABASE_TOKEN_LOST' });
  }
  expect(await said).toMatchObject({ token: TOKEN, timeline: 2, began: '0/6019A0' });
  expect([events, session.token, writesOf(primary)]).toEqual([1, TOKEN, 0]);
  await db.session().query('insert into t');
  expect(writesOf(primary)).toBe(1);
});

test('a session whose position is unknown since a failed call still knows the one before', async () => {
  const primary = await node('primary', 1);
  primary.setBehavior({ lsn: TOKEN.lsn });
  const later = await promoted('0/6019A0');
  await later.stop();
  const db = open(primary, later);
  const session = db.session();
  await session.query('insert into t');
  primary.reply('update t', { error: '57P01', severity: 'FATAL' });
  await failureOf(session.query('update t'));
  expect(session.token?.lsn).toBe('FFFFFFFF/FFFFFFFF');
  await primary.stop();
  await later.start();
  const failure = await failureOf(session.read((reader) => reader.query('select who')));
  expect(failure).toMatchObject({ code: 'DATABASE_TOKEN_LOST', token: TOKEN });
});
