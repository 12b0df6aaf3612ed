import {
  type Probe,
  type ProbedConnection,
  endedWithin,
  describeEnded,
  PROBE_TIMEOUT_MS,
  holdsIf,
} from './probe.ts';

const WATCH_MS = 4_000;

/** Makes far more calls than there are connections. */
export const exhaustion: Probe = {
  name: 'exhaustion',
  fault: '100 callers of 20 ms on 5 connections',
  async run({ open, clock }) {
    const pool = await open({ max: 5, timeoutMs: WATCH_MS });
    const order: number[] = [];
    const calls = Array.from({ length: 100 }, async (_, caller) => {
      await pool.query('select pg_sleep(0.02)');
      order.push(caller);
    });
    const ended = await Promise.all(calls.map((call) => endedWithin(clock, WATCH_MS * 2, call)));
    const served = ended.filter(({ kind }) => kind === 'answered').length;
    if (ended.some(({ kind }) => kind === 'pending')) {
      return { verdict: 'hangs', seen: `${served} of 100 served` };
    }
    // Five at a time may finish in any order.
    const overtaken = order.filter((caller, at) => caller - at > 10).length;
    const seen = `${served} of 100 served, ${overtaken} far ahead of their turn`;
    return holdsIf(served === 100, seen);
  },
};

/** The server accepts fewer connections than the pool would open. */
export const tooManyConnections: Probe = {
  name: 'server is full (53300)',
  fault: 'role limit 3, pool of 8, 100 calls',
  async run({ open, server, clock }) {
    await server.ask('create role crowded login connection limit 3');
    const url = new URL(server.url);
    url.username = 'crowded';
    const pool = await open({ url: url.href, max: 8, timeoutMs: WATCH_MS });
    const calls = Array.from({ length: 100 }, () => pool.query('select pg_sleep(0.01)'));
    const ended = await Promise.all(calls.map((call) => endedWithin(clock, WATCH_MS * 2, call)));
    const served = ended.filter(({ kind }) => kind === 'answered').length;
    const isStuck = ended.some(({ kind }) => kind === 'pending');
    if (isStuck)
      return { verdict: 'hangs', seen: `${served} of 100 served, the rest never settled` };
    return holdsIf(served === 100, `${served} of 100 served`);
  },
};

/** Never releases the only connection. */
export const leakedConnection: Probe = {
  name: 'connection never released',
  fault: `the only connection is kept; a call with ${PROBE_TIMEOUT_MS} ms`,
  async run({ open, clock }) {
    const pool = await open();
    const connection = await pool.acquire();
    await connection.query('select 1');
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    await connection.release();
    if (next.kind === 'pending') return { verdict: 'hangs', seen: 'the next call never settles' };
    // An error without a code cannot be distinguished from any other.
    const isTyped = next.kind === 'failed' && hasCode(next.error);
    return {
      verdict: isTyped ? 'holds' : 'degrades',
      seen: `the next caller: ${describeEnded(next)}`,
    };
  },
};

/** Ends the pool while a caller holds a connection. */
export const endWhileHeld: Probe = {
  name: 'end while a connection is leased',
  fault: 'end() with a leased connection',
  async run({ open, clock }) {
    const pool = await open({ max: 2 });
    const connection = await pool.acquire();
    await connection.query('select 1');
    const ended = await endedWithin(clock, WATCH_MS, pool.end());
    if (ended.kind === 'pending') return { verdict: 'hangs', seen: 'end() never resolves' };
    return { verdict: 'holds', seen: `end(): ${describeEnded(ended)}` };
  },
};

/** Releases a connection whose statement still runs on the server. */
export const timedOutQuery: Probe = {
  name: 'cancelled query, connection reused',
  fault: `select pg_sleep(3) with ${PROBE_TIMEOUT_MS} ms, then the next caller`,
  async run({ open, server, clock }) {
    const pool = await open();
    const connection: ProbedConnection = await pool.acquire();
    const slow = await endedWithin(
      clock,
      PROBE_TIMEOUT_MS * 2,
      connection.query('select pg_sleep(3)'),
    );
    if (slow.kind === 'pending') return { verdict: 'hangs', seen: 'the deadline has no effect' };
    await connection.release();
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 42 as answer'));
    const [running] = await server.ask(
      `select count(*)::int as count from pg_stat_activity where query like 'select pg_sleep(3%' and state = 'active'`,
    );
    const left = running?.['count'] === 0 ? '' : ', the query still runs on the server';
    const seen = `the next caller: ${describeEnded(next)}${left}`;
    return holdsIf(next.kind === 'answered' && left === '', seen);
  },
};

function hasCode(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error;
}
