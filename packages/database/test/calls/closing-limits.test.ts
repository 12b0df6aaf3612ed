import { afterEach, expect, test } from '@jest/globals';
import { type Clock, nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { createDatabase } from '../../src/index.ts';
import { openPool } from '../pg/open-pool.ts';
import { Opened } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** What Kubernetes gives a process between SIGTERM and SIGKILL; other packages close within the same grace. */
const GRACE_MS = 30_000;
const SLOW = 'select slow()';

interface Closed {
  readonly failure: unknown;
  readonly tookMs: number;
}

type Way = 'a Database' | 'two hosts' | 'a Pool';

/** Closes, without a deadline of the caller, while a query runs and its server is frozen. */
async function closeFrozen(way: Way): Promise<Closed> {
  const clock = createFakeClock();
  const server = await createFakePostgres({});
  opened.add(() => server.close());
  server.reply(SLOW, 'never');
  const hosts =
    way === 'two hosts' ? [server.url, server.url.replace('127.0.0.1', 'localhost')] : server.url;
  const { query, close } = open(way, hosts, clock);
  const running = nextEvent(server, 'statement', { matches: ({ sql }) => sql === SLOW });
  const call = query().then(
    () => undefined,
    (error: unknown) => error,
  );
  await running;
  server.setBehavior({ frozen: true });
  const beganMs = clock.now();
  const closing = close();
  await clock.settle(closing);
  const tookMs = clock.now() - beganMs;
  const failure = await clock.settle(call);
  server.setBehavior({ frozen: false });
  return { failure, tookMs };
}

function open(
  way: Way,
  hosts: string | readonly string[],
  clock: Clock,
  limits: { readonly connectTimeoutMs?: number } = {},
): { query: () => Promise<unknown>; close: () => Promise<unknown> } {
  if (way === 'a Pool') {
    const pool = openPool({ connectionString: hosts }, { clock, acquireTimeoutMs: 500, ...limits });
    return { query: () => pool.query(SLOW), close: () => pool.holdfast.close() };
  }
  const db = createDatabase({ hosts, clock, queryTimeoutMs: 3_600_000, ...limits });
  return { query: () => db.query(SLOW), close: () => db.close() };
}

test.each(['a Database', 'two hosts', 'a Pool'] as const)(
  'without a deadline %s is closed well within the grace of a pod, also when its server is frozen',
  async (way) => {
    const { failure, tookMs } = await closeFrozen(way);
    expect(failure).toMatchObject(
      // A Pool says it in the words of pg.
      way === 'a Pool'
        ? { message: 'Connection terminated unexpectedly' }
        : { code: 'DATABASE_CLOSED' },
    );
    // The server's cancelling is waited for once more; the rest of the grace is for others.
    expect(tookMs).toBeLessThanOrEqual(GRACE_MS / 2);
  },
);

test.each(['a Database', 'two hosts', 'a Pool'] as const)(
  '%s is closed at once while an attempt to connect hangs that no call waits for',
  async (way) => {
    const clock = createFakeClock();
    const server = await createFakePostgres({});
    opened.add(() => server.close());
    server.setBehavior({ frozen: true });
    const hosts =
      way === 'two hosts' ? [server.url, server.url.replace('127.0.0.1', 'localhost')] : server.url;
    const { query, close } = open(way, hosts, clock, { connectTimeoutMs: 8_000 });
    const call = query().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(await clock.settle(call)).toBeInstanceOf(Error);
    const beganMs = clock.now();
    await clock.settle(close());
    expect(clock.now() - beganMs).toBeLessThan(100);
    server.setBehavior({ frozen: false });
  },
);
