import { type Clock, sleep } from '@holdfast/foundation';
import {
  type Probe,
  type ProbedPool,
  endedWithin,
  describeEnded,
  PROBE_TIMEOUT_MS,
  holdsIf,
} from './probe.ts';

const CALLERS = 10;
/** Longer than the reconnect backoff of every pool. */
const WATCH_MS = 6_000;
const DOWNTIME_MS = 500;

/** Calls until aborted, with a short pause after each failure. */
async function keepQuerying(
  pool: ProbedPool,
  clock: Clock,
  until: AbortSignal,
  note: (error: unknown) => void,
): Promise<void> {
  while (!until.aborted) {
    try {
      await pool.query('select 1');
    } catch (error) {
      note(error);
      await sleep(clock, 10);
    }
  }
}

/** Kills the server under load, and starts it again. */
export const killedServer: Probe = {
  name: 'server killed, started again',
  fault: `kill -9, ${DOWNTIME_MS} ms away, ${CALLERS} callers of select 1`,
  async run({ open, server, clock }) {
    const pool = await open({ max: CALLERS, timeoutMs: WATCH_MS });
    const until = new AbortController();
    let failed = 0;
    const callers = Array.from({ length: CALLERS }, () =>
      keepQuerying(pool, clock, until.signal, () => (failed += 1)),
    );
    await pool.query('select 1');
    await server.kill();
    await sleep(clock, DOWNTIME_MS);
    await server.start();
    const backMs = clock.now();
    until.abort();
    const ended = await endedWithin(clock, WATCH_MS, Promise.all(callers));
    const tookMs = Math.round(clock.now() - backMs);
    if (ended.kind === 'pending') {
      return { verdict: 'hangs', seen: `callers stuck ${WATCH_MS} ms after it was back` };
    }
    const served = `${failed} calls failed, all callers free ${tookMs} ms after it was back`;
    return holdsIf(failed === 0, served);
  },
};

/** Freezes the server under load, and resumes it. */
export const frozenServer: Probe = {
  name: 'server frozen',
  fault: `SIGSTOP, 5 calls with ${PROBE_TIMEOUT_MS} ms each`,
  async run({ open, server, clock }) {
    const pool = await open({ max: 5 });
    await pool.query('select 1');
    await server.freeze();
    const calls = Array.from({ length: 5 }, () => pool.query('select 1'));
    const watched = calls.map((call) => endedWithin(clock, PROBE_TIMEOUT_MS * 4, call));
    const ended = await Promise.all(watched);
    await server.thaw();
    const stuck = ended.filter(({ kind }) => kind === 'pending').length;
    if (stuck > 0) return { verdict: 'hangs', seen: `${stuck} of 5 not settled within 4 s` };
    const again = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    const endings = [...new Set(ended.map(describeEnded))].join(', ');
    return holdsIf(
      again.kind === 'answered',
      `all settled (${endings}); afterwards: ${describeEnded(again)}`,
    );
  },
};

/** Loses an idle connection while nobody listens for errors. */
export const idleConnectionLost: Probe = {
  name: 'idle connection lost, no listener',
  fault: 'pg_terminate_backend on an idle connection',
  async run({ open, server, clock }) {
    const pool = await open({ listens: false });
    await pool.query('select 1');
    await terminateAll(server);
    await settleDown(clock);
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    return holdsIf(next.kind === 'answered', describeEnded(next));
  },
};

/** Loses a connection while a caller has leased it. */
export const leasedConnectionLost: Probe = {
  name: 'leased connection lost',
  fault: 'pg_terminate_backend on a leased connection',
  async run({ open, server, clock }) {
    const pool = await open();
    const connection = await pool.acquire();
    await connection.query('select 1');
    await terminateAll(server);
    await settleDown(clock);
    const on = await endedWithin(clock, WATCH_MS, connection.query('select 1'));
    await connection.release();
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    if (on.kind === 'pending' || next.kind === 'pending') {
      return {
        verdict: 'hangs',
        seen: `its holder: ${describeEnded(on)}; the next: ${describeEnded(next)}`,
      };
    }
    return holdsIf(
      next.kind === 'answered',
      `its holder: ${describeEnded(on)}; the next: ${describeEnded(next)}`,
    );
  },
};

/** Drops all traffic on an idle connection, then queries. */
export const halfOpenConnection: Probe = {
  name: 'half-open connection',
  fault: `the network drops everything; a call with ${PROBE_TIMEOUT_MS} ms`,
  async run({ open, server, clock }) {
    const pool = await open({ url: server.proxiedUrl });
    await pool.query('select 1');
    server.link.swallow();
    const lost = await endedWithin(clock, PROBE_TIMEOUT_MS * 4, pool.query('select 1'));
    await server.link.heal();
    if (lost.kind === 'pending') return { verdict: 'hangs', seen: 'not settled within 4 s' };
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    const verdict = next.kind === 'answered' ? 'holds' : 'degrades';
    return {
      verdict,
      seen: `settled (${describeEnded(lost)}); afterwards: ${describeEnded(next)}`,
    };
  },
};

async function terminateAll({ ask }: { ask: (sql: string) => Promise<unknown> }): Promise<void> {
  await ask(
    'select pg_terminate_backend(pid, 1000) from pg_stat_activity ' +
      `where pid <> pg_backend_pid() and backend_type = 'client backend'`,
  );
}

/** Waits until data that the server has sent arrives. */
function settleDown(clock: Clock): Promise<void> {
  return sleep(clock, 100);
}
