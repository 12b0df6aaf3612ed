import { type Probe, type ProbedConnection, endedWithin, inWords } from './probe.ts';

const TIMEOUT_MS = 1_000;
const WATCH_MS = 4_000;

/** Asks for far more than there is. */
export const exhaustion: Probe = {
  name: 'exhaustion',
  fault: '100 callers of 20 ms on 5 links',
  async run({ open, server, clock }) {
    const pool = await open({ url: server.url, max: 5, timeoutMs: WATCH_MS, listens: true });
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
    // Five at a time may change places among themselves.
    const overtaken = order.filter((caller, at) => caller - at > 10).length;
    const seen = `${served} of 100 served, ${overtaken} far ahead of their turn`;
    return { verdict: served === 100 ? 'holds' : 'degrades', seen };
  },
};

/** Has a server that lets in fewer than the pool would like. */
export const tooManyConnections: Probe = {
  name: 'server is full (53300)',
  fault: 'role deadline 3, pool of 8, 100 calls',
  async run({ open, server, clock }) {
    await server.ask('create role crowded login connection deadline 3');
    const url = new URL(server.url);
    url.username = 'crowded';
    const pool = await open({ url: url.href, max: 8, timeoutMs: WATCH_MS, listens: true });
    const calls = Array.from({ length: 100 }, () => pool.query('select pg_sleep(0.01)'));
    const ended = await Promise.all(calls.map((call) => endedWithin(clock, WATCH_MS * 2, call)));
    const served = ended.filter(({ kind }) => kind === 'answered').length;
    const isStuck = ended.some(({ kind }) => kind === 'pending');
    if (isStuck) return { verdict: 'hangs', seen: `${served} of 100 served, the rest never told` };
    return { verdict: served === 100 ? 'holds' : 'degrades', seen: `${served} of 100 served` };
  },
};

/** Never gives the only link back. */
export const leakedLink: Probe = {
  name: 'link never given back',
  fault: `the only link is kept; a call with ${TIMEOUT_MS} ms`,
  async run({ open, server, clock }) {
    const pool = await open({ url: server.url, max: 1, timeoutMs: TIMEOUT_MS, listens: true });
    const link = await pool.acquire();
    await link.query('select 1');
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    await link.release();
    if (next.kind === 'pending') return { verdict: 'hangs', seen: 'the next caller is never told' };
    // An error without a code cannot be told from any other.
    const isTyped = next.kind === 'failed' && hasCode(next.error);
    return { verdict: isTyped ? 'holds' : 'degrades', seen: `the next caller: ${inWords(next)}` };
  },
};

/** Ends the pool while a caller holds a link. */
export const endWhileHeld: Probe = {
  name: 'end while a link is held',
  fault: 'end() with a link on loan',
  async run({ open, server, clock }) {
    const pool = await open({ url: server.url, max: 2, timeoutMs: TIMEOUT_MS, listens: true });
    const link = await pool.acquire();
    await link.query('select 1');
    const ended = await endedWithin(clock, WATCH_MS, pool.end());
    if (ended.kind === 'pending') return { verdict: 'hangs', seen: 'end() never resolves' };
    return { verdict: 'holds', seen: `end(): ${inWords(ended)}` };
  },
};

/** Gives a link back whose statement is still running on the server. */
export const givenUpQuery: Probe = {
  name: 'given-up query, link reused',
  fault: `select pg_sleep(3) with ${TIMEOUT_MS} ms, then the next caller`,
  async run({ open, server, clock }) {
    const pool = await open({ url: server.url, max: 1, timeoutMs: TIMEOUT_MS, listens: true });
    const link: ProbedConnection = await pool.acquire();
    const slow = await endedWithin(clock, TIMEOUT_MS * 2, link.query('select pg_sleep(3)'));
    if (slow.kind === 'pending') return { verdict: 'hangs', seen: 'the deadline has no effect' };
    await link.release();
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 42 as answer'));
    const [running] = await server.ask(
      `select count(*)::int as count from pg_stat_activity where query like 'select pg_sleep(3%' and state = 'active'`,
    );
    const left = running?.['count'] === 0 ? '' : ', the query still runs on the server';
    const seen = `the next caller: ${inWords(next)}${left}`;
    return { verdict: next.kind === 'answered' && left === '' ? 'holds' : 'degrades', seen };
  },
};

function hasCode(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error;
}
