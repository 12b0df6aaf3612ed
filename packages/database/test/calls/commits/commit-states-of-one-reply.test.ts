import { expect, test } from '@jest/globals';
import { type Cancellation, CallDeadline } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { ConnectionFailure } from '../../../src/connection/connection.ts';
import { UNKNOWN_LSN } from '../../../src/lsn.ts';
import { QueryInterrupted } from '../../../src/pool/in-flight-query.ts';
import { PooledConnection } from '../../../src/pool/pooled-connection.ts';
import { PoolCounts } from '../../../src/pool/pool-counts.ts';
import { type CommitOutcome, commit } from '../../../src/transactions/commit.ts';
import { ScriptedConnection, serverError } from '../../pool/scripted-connection.ts';

const HOST = 'db:5432';

/** What is known after COMMIT was answered like that, or not at all. */
async function outcomeOf(
  reply: object[] | Error,
  commands: readonly string[] = [],
): Promise<CommitOutcome> {
  const clock = createFakeClock();
  const connection = Object.assign(new ScriptedConnection(), { commands });
  connection.run = async () => {
    if (reply instanceof Error) throw reply;
    return JSON.parse(JSON.stringify({ rows: reply, rowCount: 1, command: '', fields: [] }));
  };
  const pooled = new PooledConnection({
    connection,
    host: HOST,
    clock,
    lifetimeMs: 1_000,
    cancelGraceMs: 100,
    tracksState: false,
    release: () => undefined,
    counts: new PoolCounts(),
  });
  // As the connection reports it, without the handling of a query under way.
  if (reply instanceof QueryInterrupted || reply instanceof TypeError) {
    pooled.run = () => Promise.reject(reply);
  }
  const deadline = new CallDeadline(clock, 250);
  const outcome = await commit(pooled, deadline);
  deadline.release();
  return outcome;
}

const row = { lsn: '0/20', timeline: '00000002' };
const cut = new Error('cut');
const lost = (sent: boolean, commands?: string[]): Error =>
  new ConnectionFailure('lost', cut, sent, commands);
const refused = (state: string, sent = true): Error =>
  new ConnectionFailure('refused', serverError(state), sent);

test('a confirmed COMMIT is committed, with the position if that was answered', async () => {
  const token = { timeline: 2, lsn: '0/20' };
  expect(await outcomeOf([row], ['COMMIT', 'SELECT'])).toEqual({ kind: 'committed', token });
  const unknown = { kind: 'committed', token: UNKNOWN_LSN };
  expect(await outcomeOf([], ['COMMIT', 'SELECT'])).toEqual(unknown);
  expect(await outcomeOf(lost(true, ['COMMIT']))).toEqual(unknown);
});

test.each([
  ['with its position', () => outcomeOf([row], ['ROLLBACK', 'SELECT']), undefined],
  ['and the connection was lost then', () => outcomeOf(lost(true, ['ROLLBACK'])), cut],
])('a COMMIT answered with ROLLBACK %s has kept nothing', async (_, ask, cause) => {
  const outcome = await ask();
  expect(outcome).toMatchObject({
    kind: 'refused',
    error: {
      code: 'DATABASE_COMMIT_ROLLED_BACK',
      phase: 'commit-sent',
      outcome: 'not-applied',
      retryable: false,
      host: HOST,
    },
  });
  expect(outcome).toHaveProperty('error.cause', cause);
});

test('a connection lost before COMMIT was sent has applied nothing, after it nobody knows', async () => {
  expect(await outcomeOf(lost(false))).toMatchObject({
    kind: 'refused',
    error: { code: 'DATABASE_CONNECTION_LOST', outcome: 'not-applied' },
  });
  expect(await outcomeOf(lost(true))).toMatchObject({
    kind: 'unknown',
    mayResolve: true,
    error: { code: 'DATABASE_COMMIT_UNKNOWN', outcome: 'unknown', host: HOST, cause: cut },
  });
});

test.each([
  ['40001', true, 'refused'],
  ['23505', true, 'refused'],
  ['40003', true, 'unknown'],
  ['40003', false, 'refused'],
])('COMMIT answered with %s (sent: %p) is %s', async (state, sent, kind) => {
  const outcome = await outcomeOf(refused(state, sent));
  expect(outcome).toMatchObject({ kind, error: { sqlState: state } });
});

test.each<[Cancellation, boolean, object]>([
  [
    { kind: 'deadline' },
    false,
    { kind: 'refused', error: { code: 'DATABASE_QUERY_TIMEOUT', outcome: 'not-applied' } },
  ],
  [
    { kind: 'deadline' },
    true,
    {
      kind: 'unknown',
      mayResolve: false,
      error: { message: expect.stringContaining('no answer within 250 ms'), outcome: 'unknown' },
    },
  ],
  [{ kind: 'signal', reason: 'enough' }, false, { kind: 'refused', error: 'enough' }],
  [
    { kind: 'signal', reason: 'enough' },
    true,
    { kind: 'unknown', error: 'enough', mayResolve: false },
  ],
])('COMMIT interrupted by %j, sent %p', async (cancellation, sent, outcome) => {
  expect(await outcomeOf(new QueryInterrupted(cancellation, sent))).toMatchObject(outcome);
});

test('an error of ours is passed on', async () => {
  const error = new TypeError('ours');
  expect(await outcomeOf(error)).toEqual({ kind: 'refused', error });
});
