import { afterEach, expect, test } from '@jest/globals';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import {
  type Database,
  type DatabaseOptions,
  type Session,
  createDatabase,
} from '../../src/index.ts';
import { Opened, failureOf } from '../open-database.ts';
import { startNode, writesOf } from './scripted-host.ts';
import { openSharedName } from './shared-name.ts';

const opened = new Opened();
afterEach(() => opened.close());

async function node(name: string, timeline = 1): Promise<FakePostgres> {
  const server = await startNode(name, 'primary', timeline);
  opened.add(() => server.close());
  return server;
}

const LIMITS = { max: 4, probeIntervalMs: 50, queryTimeoutMs: 200, transactionTimeoutMs: 200 };

function open(hosts: string | readonly string[], options: Partial<DatabaseOptions> = {}): Database {
  const db = createDatabase({ hosts, ...LIMITS, ...options });
  opened.add(() => db.close({ deadlineMs: 0 }));
  return db;
}

/** Each transaction may run in another process of the server, as behind a pooler. */
function poolTransactions(server: FakePostgres): void {
  let processes = 0;
  server.reply('select pg_backend_pid() as pid, pg_is_in_recovery() as standby', () => {
    processes += 1;
    return { rows: [{ pid: processes, standby: server.behavior.role === 'standby' }] };
  });
}

const calls: Readonly<Record<string, (session: Session) => Promise<unknown>>> = {
  query: (session) => session.query('insert into t'),
  'idempotent query': (session) => session.query('insert into t', [], { idempotent: true }),
  transaction: (session) => session.transaction((tx) => tx.query('insert into t')),
  read: (session) => session.read((reader) => reader.query('insert into t')),
};

/** Ways in which a former primary is met, each with the URLs that lead to it. */
const topologies: Readonly<
  Record<string, (former: FakePostgres) => Promise<string | readonly string[]>>
> = {
  'alone at its address': async (former) => former.url,
  'while the promoted host is down': async (former) => {
    const promoted = await node('promoted', 2);
    await promoted.stop();
    return [former.url, promoted.url];
  },
  'behind a shared name': async (former) => {
    const name = await openSharedName(former);
    opened.add(() => name.close());
    return name.url;
  },
  'behind a pooler': async (former) => {
    poolTransactions(former);
    return former.url;
  },
};

const rows = Object.keys(topologies).flatMap((where) =>
  Object.keys(calls).map((call) => [call, where] as const),
);

test.each(rows)(
  'a session that knows a later timeline refuses a %s on a former primary %s',
  async (call, where) => {
    const former = await node('former');
    const db = open((await topologies[where]?.(former)) ?? []);
    // The connections and the role are known before.
    await db.query('insert into t');
    await db.session().query('insert into t');
    const before = writesOf(former);
    const token = { timeline: 2, lsn: '0/100' };
    const session = db.session();
    session.observe(token);
    const failure = await failureOf(calls[call]?.(session) ?? Promise.resolve());
    // On a busy machine the time may be over before the server was judged.
    expect(failure).toMatchObject({
      code: expect.stringMatching(/^DATABASE_(?:NO_WRITABLE_HOST|ACQUIRE_TIMEOUT|QUERY_TIMEOUT)$/),
      ...(call === 'read' ? {} : { outcome: 'not-applied' }),
    });
    expect(call === 'read' ? before : writesOf(former)).toBe(before);
    expect(session.token?.timeline).toBe(2);
  },
);

test.each(['query', 'transaction'] as const)(
  'a failed call does not make a session forget the timeline, so its next %s is refused by a former primary',
  async (call) => {
    const [promoted, former] = [await node('promoted', 2), await node('former')];
    const name = await openSharedName(promoted);
    opened.add(() => name.close());
    const db = open(name.url);
    const session = db.session();
    await session.query('insert into t');
    expect(session.token?.timeline).toBe(2);
    promoted.reply('update t', { error: '57P01', severity: 'FATAL' });
    await failureOf(session.query('update t'));
    name.leadTo(former);
    promoted.drop();
    expect(session.token).toEqual({ timeline: 2, lsn: 'FFFFFFFF/FFFFFFFF' });
    expect(await failureOf(calls[call]?.(session) ?? Promise.resolve())).toMatchObject({
      outcome: 'not-applied',
    });
    expect(writesOf(former)).toBe(0);
    // What another session of a former primary saw does not take it back either.
    session.observe({ timeline: 1, lsn: 'F/0' });
    expect(session.token?.timeline).toBe(2);
    name.leadTo(promoted);
    // On a busy machine once more.
    while ((await calls[call]?.(session).catch(() => undefined)) === undefined);
    expect(writesOf(promoted)).toBeGreaterThan(1);
    expect(session.token).toEqual({ timeline: 2, lsn: '0/1000000' });
  },
);

test('the refusal names the host and the timeline that is missing', async () => {
  const former = await node('former');
  const limits = { queryTimeoutMs: 2_000, transactionTimeoutMs: 2_000 };
  const db = open(former.url, limits);
  const refusals = ['query', 'transaction', 'read'].map(async (call) => {
    const session = db.session();
    session.observe({ timeline: 2, lsn: '0/100' });
    return failureOf(calls[call]?.(session) ?? Promise.resolve());
  });
  for (const refusal of await Promise.all(refusals)) {
    expect(refusal).toMatchObject({
      code: 'DATABASE_NO_WRITABLE_HOST',
      retryable: true,
      message: expect.stringMatching(
        /no server behind 127.0.0.1:\d+ has replayed 0\/100 of timeline 2/,
      ),
    });
  }
});

test('a session waits for the promoted host, and then goes on', async () => {
  const [former, promoted] = [await node('former'), await node('promoted', 2)];
  await promoted.stop();
  const db = open([former.url, promoted.url], { transactionTimeoutMs: 20_000 });
  await db.query('insert into t');
  const session = db.session();
  session.observe({ timeline: 2, lsn: '0/100' });
  const writing = session.transaction((tx) => tx.query('insert into t'));
  await promoted.start();
  expect((await writing).token.timeline).toBe(2);
  expect([writesOf(former), writesOf(promoted)]).toEqual([1, 1]);
});

test('a session whose server may not be asked for its timeline goes on writing to a primary', async () => {
  const server = await node('managed');
  const denied = { error: '42501', message: 'permission denied for function pg_walfile_name' };
  server.reply(/pg_walfile_name/, denied);
  const session = open(server.url).session();
  session.observe({ timeline: 2, lsn: '0/100' });
  await session.transaction((tx) => tx.query('insert into t'));
  await session.query('insert into t');
  expect(writesOf(server)).toBe(2);
});

test('after a transaction the token of a session is that of the commit, and never an earlier one', async () => {
  const server = await node('primary');
  server.setBehavior({ lsn: '0/5000000' });
  const session = open(server.url).session();
  const { token } = await session.transaction((tx) => tx.query('insert into t'));
  expect(token).toEqual({ timeline: 1, lsn: '0/5000000' });
  expect(session.token).toEqual(token);
  server.setBehavior({ lsn: '0/6000000' });
  await session.transaction((tx) => tx.query('insert into t'));
  expect(session.token?.lsn).toBe('0/6000000');
  // Two calls at once: the earlier position may arrive last.
  server.setBehavior({ lsn: '0/4000000' });
  await session.transaction((tx) => tx.query('insert into t'));
  expect(session.token?.lsn).toBe('0/6000000');
});

test('a call that was under way when another failed does not make its outcome known', async () => {
  const server = await node('primary');
  const db = open(server.url, { queryTimeoutMs: 20_000 });
  const session = db.session();
  await session.query('insert into t');
  let finish = (): void => undefined;
  server.reply('select slow', async () => {
    await new Promise<void>((resolve) => (finish = resolve));
    return { rows: [{ v: 1 }] };
  });
  server.reply('update t', { error: '57P01', severity: 'FATAL' });
  const slow = session.query('select slow');
  await failureOf(session.query('update t'));
  finish();
  await slow;
  expect(session.token?.lsn).toBe('FFFFFFFF/FFFFFFFF');
  await session.query('insert into t');
  expect(session.token?.lsn).toBe('0/1000000');
});
