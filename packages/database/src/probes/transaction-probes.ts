import {
  type Probe,
  type ProbedServer,
  endedWithin,
  describeEnded,
  PROBE_TIMEOUT_MS,
} from './probe.ts';

const WATCH_MS = 4_000;

/** Loses the connection between COMMIT and its reply: it took effect, but the client cannot know. */
export const cutCommit: Probe = {
  name: 'connection lost after COMMIT',
  fault: 'the reply to COMMIT is lost',
  async run({ open, server, clock }) {
    await server.ask('create table if not exists probed (entry int)');
    const pool = await open({ url: server.proxiedUrl });
    const work = pool.transaction(async (query) => {
      await query('insert into probed values (1)');
      server.link.cutReplies(0);
    });
    const ended = await endedWithin(clock, WATCH_MS, work);
    await server.link.heal();
    if (ended.kind === 'pending') return { verdict: 'hangs', seen: 'COMMIT is never answered' };
    const isNamed =
      ended.kind === 'failed' && hasOutcome(ended.error) && ended.error.outcome === 'unknown';
    return {
      verdict: isNamed ? 'holds' : 'degrades',
      seen: `done; its caller: ${describeEnded(ended)}`,
    };
  },
};

/** Releases a connection in the middle of a transaction. */
export const openTransactionReleased: Probe = {
  name: 'released with an open transaction',
  fault: 'begin, then release; the next caller writes',
  async run({ open, server, clock }) {
    await server.ask('create table if not exists probed (entry int)');
    const pool = await open();
    const connection = await pool.acquire();
    await connection.query('begin');
    await connection.release();
    const insert = pool.query('insert into probed values (3)');
    const next = await endedWithin(clock, WATCH_MS, insert);
    const isThere = (await rowsOf(server, 3)) === 1;
    if (next.kind === 'answered' && !isThere) {
      return { verdict: 'lies', seen: 'the write is acknowledged and invisible' };
    }
    return {
      verdict: isThere ? 'holds' : 'degrades',
      seen: `the next caller: ${describeEnded(next)}`,
    };
  },
};

/** Swallows an error inside a transaction, so that COMMIT can only roll back. */
export const swallowedError: Probe = {
  name: 'COMMIT answered by ROLLBACK',
  fault: 'an error swallowed inside a transaction',
  async run({ open, server, clock }) {
    await server.ask('create table if not exists probed (entry int)');
    const pool = await open();
    const work = pool.transaction(async (query) => {
      await query('insert into probed values (4)');
      await query('select 1/0').catch(() => undefined);
    });
    const ended = await endedWithin(clock, WATCH_MS, work);
    if (ended.kind === 'pending') return { verdict: 'hangs', seen: 'no answer' };
    const isThere = (await rowsOf(server, 4)) === 1;
    if (ended.kind === 'answered' && !isThere) {
      return { verdict: 'lies', seen: 'it resolves, and nothing was kept' };
    }
    return { verdict: 'holds', seen: describeEnded(ended) };
  },
};

/** Requests a second connection while it holds the only one. */
export const nestedAcquire: Probe = {
  name: 'pool asked inside a transaction',
  fault: `the only connection is leased; a call with ${PROBE_TIMEOUT_MS} ms`,
  async run({ open, clock }) {
    const pool = await open();
    const beganMs = clock.now();
    const work = pool.transaction(async () => pool.query('select 1'));
    const ended = await endedWithin(clock, WATCH_MS, work);
    if (ended.kind === 'pending') return { verdict: 'hangs', seen: 'it waits for itself' };
    const tookMs = Math.round(clock.now() - beganMs);
    const isRejectedEarly = tookMs < PROBE_TIMEOUT_MS / 2;
    return {
      verdict: isRejectedEarly ? 'holds' : 'degrades',
      seen: `${describeEnded(ended)} after ${tookMs} ms`,
    };
  },
};

/** Whether an error states the outcome of the call. */
function hasOutcome(error: unknown): error is { outcome: unknown } {
  return typeof error === 'object' && error !== null && 'outcome' in error;
}

async function rowsOf({ ask }: ProbedServer, entry: number): Promise<unknown> {
  const [row] = await ask(`select count(*)::int as count from probed where entry = ${entry}`);
  return row?.['count'];
}
