import { type Clock, sleep } from '@holdfast/foundation';
import { type Probe, type ProbedPool, endedWithin, inWords } from './probe.ts';

const CALLERS = 10;
const TIMEOUT_MS = 1_000;
/** Long enough for every pool that comes back at all by a backoff of its own. */
const WATCH_MS = 6_000;
const AWAY_MS = 500;

/** Calls until told to stop, pausing a little after each failure. */
async function keepAsking(
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

/** Kills the server while callers call, and starts it again. */
export const killedServer: Probe = {
  name: 'server killed, started again',
  fault: `kill -9, ${AWAY_MS} ms away, ${CALLERS} callers of select 1`,
  async run({ open, server, clock }) {
    const pool = await open({ url: server.url, max: CALLERS, timeoutMs: WATCH_MS, listens: true });
    const until = new AbortController();
    let failed = 0;
    const callers = Array.from({ length: CALLERS }, () =>
      keepAsking(pool, clock, until.signal, () => (failed += 1)),
    );
    await pool.query('select 1');
    await server.kill();
    await sleep(clock, AWAY_MS);
    await server.start();
    const backMs = clock.now();
    until.abort();
    const ended = await endedWithin(clock, WATCH_MS, Promise.all(callers));
    const tookMs = Math.round(clock.now() - backMs);
    if (ended.kind === 'pending') {
      return { verdict: 'hangs', seen: `callers stuck ${WATCH_MS} ms after it was back` };
    }
    const served = `${failed} calls failed, all callers free ${tookMs} ms after it was back`;
    return { verdict: failed === 0 ? 'holds' : 'degrades', seen: served };
  },
};

/** Stops the server in the middle of everything, and lets it go on. */
export const frozenServer: Probe = {
  name: 'server frozen',
  fault: `SIGSTOP, 5 calls with ${TIMEOUT_MS} ms each`,
  async run({ open, server, clock }) {
    const pool = await open({ url: server.url, max: 5, timeoutMs: TIMEOUT_MS, listens: true });
    await pool.query('select 1');
    await server.freeze();
    const calls = Array.from({ length: 5 }, () => pool.query('select 1'));
    const watched = calls.map((call) => endedWithin(clock, TIMEOUT_MS * 4, call));
    const ended = await Promise.all(watched);
    await server.thaw();
    const stuck = ended.filter(({ kind }) => kind === 'pending').length;
    if (stuck > 0) return { verdict: 'hangs', seen: `${stuck} of 5 not told within 4 s` };
    const again = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    const told = [...new Set(ended.map(inWords))].join(', ');
    const verdict = again.kind === 'answered' ? 'holds' : 'degrades';
    return { verdict, seen: `all told (${told}); afterwards: ${inWords(again)}` };
  },
};

/** Loses an idle link without anybody listening for errors. */
export const idleLinkLost: Probe = {
  name: 'idle link lost, no listener',
  fault: 'pg_terminate_backend on an idle link',
  async run({ open, server, clock }) {
    const pool = await open({ url: server.url, max: 1, timeoutMs: TIMEOUT_MS, listens: false });
    await pool.query('select 1');
    await terminateAll(server);
    await settleDown(clock);
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    return { verdict: next.kind === 'answered' ? 'holds' : 'degrades', seen: inWords(next) };
  },
};

/** Loses a link while a caller has it on loan. */
export const lentLinkLost: Probe = {
  name: 'leased link lost',
  fault: 'pg_terminate_backend on a link that a caller holds',
  async run({ open, server, clock }) {
    const pool = await open({ url: server.url, max: 1, timeoutMs: TIMEOUT_MS, listens: true });
    const link = await pool.acquire();
    await link.query('select 1');
    await terminateAll(server);
    await settleDown(clock);
    const on = await endedWithin(clock, WATCH_MS, link.query('select 1'));
    await link.release();
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    if (on.kind === 'pending' || next.kind === 'pending') {
      return { verdict: 'hangs', seen: `its holder: ${inWords(on)}; the next: ${inWords(next)}` };
    }
    const verdict = next.kind === 'answered' ? 'holds' : 'degrades';
    return { verdict, seen: `its holder: ${inWords(on)}; the next: ${inWords(next)}` };
  },
};

/** Lets nothing pass any more on a link that is idle, then asks. */
export const halfOpenLink: Probe = {
  name: 'half-open link',
  fault: `the network swallows everything; a call with ${TIMEOUT_MS} ms`,
  async run({ open, server, clock }) {
    const pool = await open({
      url: server.proxiedUrl,
      max: 1,
      timeoutMs: TIMEOUT_MS,
      listens: true,
    });
    await pool.query('select 1');
    server.link.swallow();
    const lost = await endedWithin(clock, TIMEOUT_MS * 4, pool.query('select 1'));
    await server.link.heal();
    if (lost.kind === 'pending') return { verdict: 'hangs', seen: 'not told within 4 s' };
    const next = await endedWithin(clock, WATCH_MS, pool.query('select 1'));
    const verdict = next.kind === 'answered' ? 'holds' : 'degrades';
    return { verdict, seen: `told (${inWords(lost)}); afterwards: ${inWords(next)}` };
  },
};

async function terminateAll({ ask }: { ask: (sql: string) => Promise<unknown> }): Promise<void> {
  await ask(
    'select pg_terminate_backend(pid, 1000) from pg_stat_activity ' +
      `where pid <> pg_backend_pid() and backend_type = 'client backend'`,
  );
}

/** Lets what the server has sent arrive. */
function settleDown(clock: Clock): Promise<void> {
  return sleep(clock, 100);
}
