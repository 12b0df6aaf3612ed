import { expect } from '@jest/globals';
import { type Transaction, markerTableSql } from '@holdfast/database';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { type PostgresFixture, openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { LEDGER_SQL, LedgerTable, insertEntry } from '../../src/database/ledger-table.ts';
import { type DatabaseOutcome, scenario } from '../../src/database/scenario.ts';

const TIMEOUT_MS = 500;

scenario(
  {
    promise: 'a query sent into a dead link ends at its deadline, and new links serve at once',
    fault: 'the network swallows everything both ways, then heals for new links',
    inContainers: true,
  },
  openPostgresFixture,
  async (ground) => {
    const { proxy, url } = await ground.proxy();
    const database = ground.database({ hosts: url, max: 5 });
    await Promise.all(Array.from({ length: 5 }, () => database.query('select pg_sleep(0.01)')));
    proxy.faults.set('blackhole');
    const beganMs = systemClock.now();
    const errors = await Promise.all(
      Array.from({ length: 10 }, () =>
        database.query('select 1', [], { timeoutMs: TIMEOUT_MS }).then(
          () => undefined,
          (error: unknown) => error,
        ),
      ),
    );
    const detectedAfterMs = systemClock.now() - beganMs;
    for (const error of errors) {
      expect(error).toMatchObject({
        code: expect.stringMatching(/^DATABASE_(?:QUERY|ACQUIRE)_TIMEOUT$/),
      });
    }
    expect(detectedAfterMs).toBeLessThan(TIMEOUT_MS * 10);
    await proxy.heal();
    const healedAtMs = systemClock.now();
    const calls = Array.from({ length: 10 }, () => database.query('select 1'));
    const served = await Promise.all(calls);
    return {
      accepted: 10,
      delivered: served.length,
      detectedAfterMs,
      recoveredAfterMs: systemClock.now() - healedAtMs,
    };
  },
);

scenario(
  {
    promise:
      'a link whose server is gone is not lent twice: an idempotent call is served by a new one',
    fault: 'half-open: the server forgets every link, the client is told at its next byte',
    inContainers: true,
  },
  openPostgresFixture,
  async (ground) => {
    const { proxy, url } = await ground.proxy();
    const database = ground.database({ hosts: url, max: 5 });
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

/** So many links are cut at a time; each has a proxy of its own. */
const LANES = 8;

/**
 * Cuts at every byte that goes that way from the moment COMMIT is about to be sent until it is answered; each
 * entry has to be there or not as its writer was told.
 */
async function cutAround(
  ground: PostgresFixture,
  direction: Direction,
  resolveCommit: boolean,
): Promise<Cuts> {
  const ledger = new LedgerTable();
  const wholeBytes = await commitBytes(ground, direction, resolveCommit);
  let unknown = 0;
  let next = 0;
  const runWorker = async (): Promise<void> => {
    const { proxy, url } = await ground.proxy();
    const database = ground.database({ hosts: url, max: 2, queryTimeoutMs: 10_000 });
    // The cut is for one link only; those that find out what became of it are left alone.
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

/** How many bytes go that way between the last statement of a transaction and its end. */
async function commitBytes(
  ground: PostgresFixture,
  direction: Direction,
  resolveCommit: boolean,
): Promise<number> {
  const { proxy, url } = await ground.proxy();
  const database = ground.database({ hosts: url, max: 1 });
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
  await database.end();
  return bytes;
}

async function playCuts(
  ground: PostgresFixture,
  direction: 'toServer' | 'toClient',
): Promise<DatabaseOutcome> {
  await ground.ask(LEDGER_SQL);
  const played = await cutAround(ground, direction, false);
  const audit = await played.ledger.audit(ground.ask);
  expect(audit).toMatchObject({ lost: [], duplicated: [], denied: [] });
  expect(played.cuts).toBeGreaterThan(15);
  // Otherwise no cut has met a COMMIT.
  expect(played.unknown).toBeGreaterThan(0);
  return {
    accepted: audit.acknowledged,
    delivered: audit.acknowledged - audit.lost.length,
    note: `${played.cuts} cuts, ${played.unknown} DATABASE_COMMIT_UNKNOWN, ${audit.unknown.there} of them committed`,
  };
}

scenario(
  {
    promise: 'a COMMIT cut at any byte of its request is never answered wrongly',
    fault: 'the link is cut at every byte to the server, by FIN and by RST in turn',
  },
  openPostgresFixture,
  (ground) => playCuts(ground, 'toServer'),
);

scenario(
  {
    promise: 'a COMMIT cut at any byte of its reply is never answered wrongly',
    fault: 'the link is cut at every byte from the server, by FIN and by RST in turn',
  },
  openPostgresFixture,
  (ground) => playCuts(ground, 'toClient'),
);

scenario(
  {
    promise: 'with a marker row no COMMIT stays unknown',
    fault: 'the link is cut at every byte from the server, the server stays reachable',
  },
  openPostgresFixture,
  async (ground) => {
    await ground.ask(LEDGER_SQL);
    await ground.ask(markerTableSql);
    const played = await cutAround(ground, 'toClient', true);
    const audit = await played.ledger.audit(ground.ask);
    expect(audit).toMatchObject({ lost: [], duplicated: [], denied: [] });
    expect(played.unknown).toBe(0);
    return {
      accepted: audit.acknowledged,
      delivered: audit.acknowledged - audit.lost.length,
      note: `${played.cuts} cuts`,
    };
  },
);

scenario(
  {
    promise: 'a transaction whose link is lost before COMMIT is not there, and its caller knows',
    fault: 'the backend is terminated inside the transaction',
    inContainers: true,
  },
  openPostgresFixture,
  async (ground) => {
    await ground.ask(LEDGER_SQL);
    const database = ground.database();
    const lost = nextEvent(database, 'lost', { signal: AbortSignal.timeout(20_000) });
    const work = database.transaction(async (tx) => {
      await insertEntry(tx, 1);
      const { rows } = await tx.query('select pg_backend_pid() as pid');
      await ground.ask('select pg_terminate_backend($1)', [rows[0]?.['pid']]);
      await lost;
      await insertEntry(tx, 2);
    });
    await expect(work).rejects.toMatchObject({ outcome: 'not-applied' });
    expect(await ground.ask('select * from ledger')).toEqual([]);
    await database.transaction((tx) => insertEntry(tx, 3));
    return { accepted: 1, delivered: (await ground.ask('select * from ledger')).length };
  },
);

/** Both ways in which a link dies, in turn. */
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
