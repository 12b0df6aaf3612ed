import { expect } from '@jest/globals';
import { type Transaction, markerTableSql } from '@holdfast/database';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { type PostgresFixture, openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { LEDGER_SQL, LedgerTable, insertEntry } from '../../src/database/ledger-table.ts';
import { type DatabaseOutcome, scenario } from '../../src/database/scenario.ts';
import { watchPace } from '../../src/host-pace.ts';

const TIMEOUT_MS = 500;

scenario(
  {
    promise: 'a query on a dead connection ends at its deadline, and new connections serve at once',
    fault: 'the network drops everything in both directions, then recovers for new connections',
    inContainers: true,
  },
  openPostgresFixture,
  async (fixture) => {
    const { proxy, url } = await fixture.proxy();
    const database = fixture.database({ hosts: url, max: 5 });
    await Promise.all(Array.from({ length: 5 }, () => database.query('select pg_sleep(0.01)')));
    proxy.faults.set('blackhole');
    const beganMs = systemClock.now();
    const pace = watchPace();
    const errors = await Promise.all(
      Array.from({ length: 10 }, () =>
        database.query('select 1', [], { timeoutMs: TIMEOUT_MS }).then(
          () => undefined,
          (error: unknown) => error,
        ),
      ),
    );
    const detectedAfterMs = systemClock.now() - beganMs;
    const slowness = pace.stop();
    for (const error of errors) {
      expect(error).toMatchObject({
        code: expect.stringMatching(/^DATABASE_(?:QUERY|ACQUIRE)_TIMEOUT$/),
      });
    }
    expect(detectedAfterMs).toBeLessThan(TIMEOUT_MS * 2 * slowness);
    await proxy.heal();
    const healedAtMs = systemClock.now();
    const calls = Array.from({ length: 10 }, () => database.query('select 1'));
    const served = await Promise.all(calls);
    const recoveredAfterMs = systemClock.now() - healedAtMs;
    expect(recoveredAfterMs).toBeLessThan(TIMEOUT_MS);
    return { accepted: 10, delivered: served.length, detectedAfterMs, recoveredAfterMs };
  },
);

scenario(
  {
    promise: 'a half-open connection is not used twice: an idempotent call is served on a new one',
    fault:
      'half-open: the server forgets every connection, and resets it at the next byte of the client',
    inContainers: true,
  },
  openPostgresFixture,
  async (fixture) => {
    const { proxy, url } = await fixture.proxy();
    const database = fixture.database({ hosts: url, max: 5 });
    await Promise.all(Array.from({ length: 5 }, () => database.query('select pg_sleep(0.01)')));
    proxy.faults.set('halfOpen');
    await proxy.heal();
    const calls = Array.from({ length: 20 }, () =>
      database.query('select 1', [], { idempotent: true }),
    );
    const served = await Promise.all(calls);
    return { accepted: calls.length, delivered: served.length };
  },
);

type Direction = 'toServer' | 'toClient';

interface Cuts {
  readonly ledger: LedgerTable;
  readonly cuts: number;
  readonly unknown: number;
}

/** How many connections are cut concurrently; each has its own proxy. */
const LANES = 8;

/**
 * Cuts the connection at every byte in that direction, from just before COMMIT until its answer. The outcome
 * that each writer received has to match the table.
 */
async function cutAround(
  fixture: PostgresFixture,
  direction: Direction,
  resolveCommit: boolean,
): Promise<Cuts> {
  const ledger = new LedgerTable();
  const wholeBytes = await commitBytes(fixture, direction, resolveCommit);
  let unknown = 0;
  let next = 0;
  const runWorker = async (): Promise<void> => {
    const { proxy, url } = await fixture.proxy();
    const database = fixture.database({ hosts: url, max: 2, queryTimeoutMs: 10_000 });
    // Only one connection is cut; those that look up its outcome are not.
    proxy.on('closed', () => void proxy.heal());
    while (next <= wholeBytes) {
      const maxBytes = next;
      next += 1;
      await ledger.write(async (entry) => {
        const work = async (tx: Transaction): Promise<void> => {
          await insertEntry(tx, entry);
          proxy.faults.set('limitData', { maxBytes, direction, ending: endingAt(maxBytes) });
        };
        try {
          await database.transaction(work, { resolveCommit });
        } catch (error) {
          if (isUnknown(error)) unknown += 1;
          throw error;
        }
      });
      await proxy.heal();
    }
  };
  await Promise.all(Array.from({ length: LANES }, runWorker));
  return { ledger, cuts: wholeBytes + 1, unknown };
}

/** How many bytes flow in that direction between the last statement of a transaction and its end. */
async function commitBytes(
  fixture: PostgresFixture,
  direction: Direction,
  resolveCommit: boolean,
): Promise<number> {
  const { proxy, url } = await fixture.proxy();
  const database = fixture.database({ hosts: url, max: 1 });
  const passed = (): number => {
    const { bytesToServer, bytesToClient } = proxy.getStats();
    return direction === 'toServer' ? bytesToServer : bytesToClient;
  };
  let beforeBytes = 0;
  await database.transaction(
    async (tx) => {
      await tx.query('select 1');
      beforeBytes = passed();
    },
    { resolveCommit },
  );
  const bytes = passed() - beforeBytes;
  await database.close();
  return bytes;
}

async function runCuts(
  fixture: PostgresFixture,
  direction: 'toServer' | 'toClient',
): Promise<DatabaseOutcome> {
  await fixture.ask(LEDGER_SQL);
  const result = await cutAround(fixture, direction, false);
  const audit = await result.ledger.audit(fixture.ask);
  expect(audit).toMatchObject({ lost: [], duplicated: [], denied: [] });
  expect(result.cuts).toBeGreaterThan(15);
  // Otherwise no cut hit a COMMIT.
  expect(result.unknown).toBeGreaterThan(0);
  return {
    accepted: audit.acknowledged,
    delivered: audit.acknowledged - audit.lost.length,
    note: `${result.cuts} cuts, ${result.unknown} DATABASE_COMMIT_UNKNOWN, ${audit.unknown.there} of them committed`,
  };
}

scenario(
  {
    promise: 'a COMMIT cut off at any byte of its request is never reported wrongly',
    fault: 'the connection is cut at every byte to the server, by FIN and by RST in turn',
  },
  openPostgresFixture,
  (fixture) => runCuts(fixture, 'toServer'),
);

scenario(
  {
    promise: 'a COMMIT cut off at any byte of its reply is never reported wrongly',
    fault: 'the connection is cut at every byte from the server, by FIN and by RST in turn',
  },
  openPostgresFixture,
  (fixture) => runCuts(fixture, 'toClient'),
);

scenario(
  {
    promise: 'with a marker row the outcome of no COMMIT stays unknown',
    fault: 'the connection is cut at every byte from the server, the server stays reachable',
  },
  openPostgresFixture,
  async (fixture) => {
    await fixture.ask(LEDGER_SQL);
    await fixture.ask(markerTableSql);
    const result = await cutAround(fixture, 'toClient', true);
    const audit = await result.ledger.audit(fixture.ask);
    expect(audit).toMatchObject({ lost: [], duplicated: [], denied: [] });
    expect(result.unknown).toBe(0);
    return {
      accepted: audit.acknowledged,
      delivered: audit.acknowledged - audit.lost.length,
      note: `${result.cuts} cuts`,
    };
  },
);

scenario(
  {
    promise:
      'a transaction whose connection is lost before COMMIT is not applied, and its caller knows that',
    fault: 'the backend is terminated inside the transaction',
    inContainers: true,
  },
  openPostgresFixture,
  async (fixture) => {
    await fixture.ask(LEDGER_SQL);
    const database = fixture.database();
    const lost = nextEvent(database, 'lost', { signal: AbortSignal.timeout(20_000) });
    const work = database.transaction(async (tx) => {
      await insertEntry(tx, 1);
      const { rows } = await tx.query('select pg_backend_pid() as pid');
      await fixture.ask('select pg_terminate_backend($1)', [rows[0]?.['pid']]);
      await lost;
      await insertEntry(tx, 2);
    });
    await expect(work).rejects.toMatchObject({ outcome: 'not-applied' });
    expect(await fixture.ask('select * from ledger')).toEqual([]);
    await database.transaction((tx) => insertEntry(tx, 3));
    return { accepted: 1, delivered: (await fixture.ask('select * from ledger')).length };
  },
);

/** The two kinds of connection end, alternately. */
function endingAt(maxBytes: number): 'close' | 'reset' {
  return maxBytes % 2 === 0 ? 'close' : 'reset';
}

function isUnknown(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'DATABASE_COMMIT_UNKNOWN'
  );
}
