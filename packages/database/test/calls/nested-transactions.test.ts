import { afterEach, expect, test } from '@jest/globals';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import { seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { Database, DatabaseOptions, Transaction } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

/** How long a step of a callback takes beside the others. */
const STEP_MS = 5;
const LONGEST_STEP_MS = 3;

const opened = new Opened();
afterEach(() => opened.close());

async function openTable(
  options: Partial<DatabaseOptions> = {},
): Promise<{ db: Database; server: FakePostgres }> {
  const { db, server } = await opened.database(options);
  server.reply(/^insert \d/, { command: 'INSERT 0 1' });
  return { db, server };
}

/** The rows that Postgres would keep of the last transaction, by the savepoints among its statements. */
function keptRows(server: FakePostgres): number[] {
  const all = server.statements().flatMap((text) => text.split('; '));
  const rows: number[] = [];
  const savepoints: { name: string | undefined; size: number }[] = [];
  for (const text of all.slice(all.lastIndexOf('begin') + 1)) {
    const name = /holdfast_\d+/.exec(text)?.[0];
    const at = savepoints.findLastIndex((savepoint) => savepoint.name === name);
    const isUse = /^(?:release|rollback to) savepoint/.test(text);
    if (isUse && at < 0) throw new Error(`3B001 savepoint "${name}" does not exist`);
    if (text.startsWith('insert ')) rows.push(Number(text.slice(7)));
    else if (text.startsWith('savepoint')) savepoints.push({ name, size: rows.length });
    else if (text.startsWith('rollback to')) {
      rows.length = savepoints[at]?.size ?? 0;
      savepoints.length = at + 1;
    } else if (text.startsWith('release')) savepoints.length = at;
    else if (text === 'rollback') rows.length = 0;
  }
  return rows;
}

function gate(): PromiseWithResolvers<void> {
  return Promise.withResolvers<void>();
}

const insert = (tx: Transaction, row: number): Promise<unknown> => tx.query(`insert ${row}`);
const statuses = (results: readonly PromiseSettledResult<unknown>[]): string[] =>
  results.map(({ status }) => status);

test('a nested transaction that fails takes nothing of the one beside it', async () => {
  const { db, server } = await openTable();
  const { value } = await db.transaction(async (tx) => {
    const both = gate();
    const first = tx.transaction(async (nested) => {
      await insert(nested, 1);
      await both.promise;
      throw new Error('first');
    });
    const second = tx.transaction((nested) => insert(nested, 2));
    both.resolve();
    return Promise.allSettled([first, second]);
  });
  expect(statuses(value)).toEqual(['rejected', 'fulfilled']);
  expect(keptRows(server)).toEqual([2]);
});

test('the later of two nested transactions fails: the earlier is kept', async () => {
  const { db, server } = await openTable();
  const { value } = await db.transaction((tx) =>
    Promise.allSettled([
      tx.transaction((nested) => insert(nested, 1)),
      tx.transaction(async (nested) => {
        await insert(nested, 2);
        throw new Error('second');
      }),
      tx.transaction((nested) => insert(nested, 3)),
    ]),
  );
  expect(statuses(value)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(keptRows(server)).toEqual([1, 3]);
});

test('a query beside an open nested transaction waits, and is kept when that one fails', async () => {
  const { db, server } = await openTable();
  await db.transaction(async (tx) => {
    const inside = gate();
    const end = gate();
    const nested = tx.transaction(async (inner) => {
      await insert(inner, 1);
      inside.resolve();
      await end.promise;
      throw new Error('nested');
    });
    await inside.promise;
    const beside = [insert(tx, 2), tx.transaction((inner) => insert(inner, 3)), insert(tx, 4)];
    end.resolve();
    expect(statuses(await Promise.allSettled([nested, ...beside]))[0]).toBe('rejected');
    await Promise.all(beside);
  });
  expect(keptRows(server)).toEqual([2, 3, 4]);
});

test.each([1, 2, 3, 4, 5])(
  'whatever the order of calls and failures, exactly what was fulfilled is kept (seed %i)',
  async (seed) => {
    const { db, server } = await openTable();
    const random = seededRandom(seed);
    const undone = new Error('undone');
    let rows = 0;
    const grow = async (tx: Transaction, depth: number): Promise<number[]> => {
      const calls = Array.from({ length: 4 }, async () => {
        if (random() < 0.3) await sleep(systemClock, random() * LONGEST_STEP_MS);
        if (depth === 3 || random() < 0.4) {
          const row = (rows += 1);
          await insert(tx, row);
          return [row];
        }
        return tx
          .transaction(async (nested) => {
            const kept = await grow(nested, depth + 1);
            if (random() < 0.4) throw undone;
            return kept;
          })
          .catch((error: unknown) => {
            if (error === undone) return [];
            throw error;
          });
      });
      return (await Promise.all(calls)).flat();
    };
    const { value } = await db.transaction((tx) => grow(tx, 1));
    expect(keptRows(server).toSorted((a, b) => a - b)).toEqual(value.toSorted((a, b) => a - b));
  },
);

test.each<[string, (tx: Transaction) => Promise<unknown>]>([
  ['query', (tx) => tx.query('insert 9')],
  ['transaction', (tx) => tx.transaction((inner) => inner.query('insert 9'))],
])(
  '%s of an outer handle in a nested callback is refused, not awaited for ever',
  async (name, call) => {
    const { db, server } = await openTable();
    const { value } = await db.transaction(async (tx) => {
      const nested = await failureOf(tx.transaction(() => call(tx)));
      const deeper = await failureOf(
        tx.transaction((second) => second.transaction(() => call(tx))),
      );
      const caught = await tx.transaction(async (inner) => {
        const error = await failureOf(call(tx));
        await insert(inner, 1);
        return error;
      });
      await call(tx);
      return [nested, deeper, caught];
    });
    for (const error of value) {
      expect(error).toMatchObject({
        code: 'DATABASE_OUTER_TRANSACTION_BUSY',
        outcome: 'not-applied',
        phase: 'not-sent',
        message: expect.stringMatching(
          new RegExp(`^tx.${name} .* use the handle of the nested transaction`),
        ),
      });
    }
    expect(keptRows(server)).toEqual([1, 9]);
  },
);

test('another database may be used in a nested callback, and the outer handle after it', async () => {
  const { db, server } = await openTable();
  const other = await openTable();
  await db.transaction(async (tx) => {
    await tx.transaction(async (nested) => {
      await insert(nested, 1);
      await other.db.transaction((theirs) => theirs.transaction((inner) => insert(inner, 2)));
    });
    const error = await tx.transaction(() =>
      other.db.transaction((theirs) => theirs.transaction(() => failureOf(insert(tx, 3)))),
    );
    expect(error.value).toMatchObject({ code: 'DATABASE_OUTER_TRANSACTION_BUSY' });
    await insert(tx, 4);
  });
  expect(keptRows(server)).toEqual([1, 4]);
});

test('a waiting query ends at its own timeout or signal, and nothing of it was sent', async () => {
  const { db, server } = await openTable();
  await db.transaction(async (tx) => {
    const end = gate();
    const nested = tx.transaction(async (inner) => {
      await insert(inner, 1);
      await end.promise;
    });
    const late = failureOf(tx.query('insert 2', [], { timeoutMs: 10 }));
    const controller = new AbortController();
    const given = failureOf(tx.query('insert 3', [], { signal: controller.signal }));
    const after = insert(tx, 4);
    controller.abort('given up');
    expect(await given).toBe('given up');
    expect(await late).toMatchObject({ code: 'DATABASE_QUERY_TIMEOUT', phase: 'not-sent' });
    end.resolve();
    await Promise.all([nested, after]);
  });
  expect(keptRows(server)).toEqual([1, 4]);
});

test.each<[string, object]>([
  ['deadline', { code: 'DATABASE_QUERY_TIMEOUT', outcome: 'not-applied' }],
  ['signal', new TypeError('given up')],
])(
  'queued nested transactions end with the outer one at its %s, without being run',
  async (cause, expected) => {
    const clock = createFakeClock();
    const { db, server } = await openTable({ clock });
    const controller = new AbortController();
    const results: Promise<PromiseSettledResult<unknown>[]>[] = [];
    let runs = 0;
    const call = db.transaction(
      (tx) => {
        const never = tx.transaction((inner) =>
          inner.transaction(() => {
            if (cause === 'signal') controller.abort(expected);
            else void clock.advance(1_000);
            return new Promise<void>(() => undefined);
          }),
        );
        const queued = tx.transaction(() => (runs += 1));
        const all = Promise.allSettled([never, queued, insert(tx, 1)]);
        results.push(all);
        return all;
      },
      { timeoutMs: 1_000, signal: controller.signal },
    );
    expect(await failureOf(call)).toMatchObject(expected);
    expect(statuses((await results[0]) ?? [])).toEqual(['rejected', 'rejected', 'rejected']);
    expect(runs).toBe(0);
    expect(statementsLike(server, /^(?:insert|release|commit)/)).toBe(0);
  },
);

test('when the outer callback throws, what is open or queued in it ends, and nothing more is sent', async () => {
  const { db, server } = await openTable();
  const inside = gate();
  const end = gate();
  const settled: Promise<PromiseSettledResult<unknown>[]>[] = [];
  const call = db.transaction(async (tx) => {
    const open = tx.transaction(async (inner) => {
      inside.resolve();
      await end.promise;
      await insert(inner, 1);
    });
    settled.push(Promise.allSettled([open, tx.transaction((inner) => insert(inner, 2))]));
    await inside.promise;
    throw new TypeError('mine');
  });
  expect(await failureOf(call)).toMatchObject({ message: 'mine' });
  end.resolve();
  for (const result of (await settled[0]) ?? []) {
    expect(result).toMatchObject({ reason: { code: 'DATABASE_TRANSACTION_ENDED' } });
  }
  expect(server.statements()).toEqual(['begin', 'savepoint holdfast_1', 'rollback']);
});

test('a nested transaction that throws ends those in it, which write nothing into the outer one', async () => {
  const { db, server } = await openTable();
  await db.transaction(async (tx) => {
    const inside = gate();
    const end = gate();
    const deep: Promise<unknown>[] = [];
    const nested = tx.transaction(async (inner) => {
      const deeper = inner.transaction(async (innermost) => {
        await insert(innermost, 1);
        inside.resolve();
        await end.promise;
        await insert(innermost, 2);
      });
      deep.push(failureOf(deeper), failureOf(insert(inner, 3)));
      await inside.promise;
      throw new TypeError('mine');
    });
    expect(await failureOf(nested)).toMatchObject({ message: 'mine' });
    end.resolve();
    for (const error of await Promise.all(deep)) {
      expect(error).toMatchObject({ code: 'DATABASE_TRANSACTION_ENDED' });
    }
    await insert(tx, 4);
  });
  expect(keptRows(server)).toEqual([4]);
});

test('nested transactions and queries that are not awaited are complete before the end', async () => {
  const { db, server } = await openTable();
  const unawaited: Promise<unknown>[] = [];
  await db.transaction(async (tx) => {
    await tx.transaction((inner) => {
      const deeper = inner.transaction(async (innermost) => {
        await insert(innermost, 1);
        await sleep(systemClock, STEP_MS);
        await insert(innermost, 2);
      });
      unawaited.push(deeper, insert(inner, 3));
    });
    unawaited.push(
      tx.transaction((inner) => insert(inner, 4)),
      insert(tx, 5),
    );
  });
  await Promise.all(unawaited);
  expect(keptRows(server)).toEqual([1, 2, 3, 4, 5]);
});

test('a conflict in one of them runs the whole transaction again, with all of them', async () => {
  const { db, server } = await openTable();
  let conflicts = 1;
  server.reply('update t', () =>
    (conflicts -= 1) >= 0 ? { error: '40001' } : { command: 'UPDATE 1' },
  );
  const work = (tx: Transaction): Promise<unknown> =>
    Promise.all([
      tx.transaction((inner) => insert(inner, 1)),
      tx.transaction((inner) => inner.query('update t')),
      tx.transaction((inner) => insert(inner, 2)),
    ]).then(() => undefined);
  await db.session().transaction(work, { isolation: 'serializable' });
  expect(db.getStats().transactionRetries).toBe(1);
  expect(keptRows(server)).toEqual([1, 2]);
  expect(statementsLike(server, /^insert 2/)).toBe(1);
});

test('a connection lost in a nested transaction ends those that wait', async () => {
  const { db, server } = await openTable();
  server.reply('select lost', 'never');
  server.on('statement', ({ sql }) => {
    if (sql === 'select lost') server.drop();
  });
  const results: Promise<PromiseSettledResult<unknown>[]>[] = [];
  const call = db.transaction((tx) => {
    const all = Promise.allSettled([
      tx.transaction((inner) => inner.query('select lost')),
      tx.transaction((inner) => insert(inner, 1)),
      insert(tx, 2),
    ]);
    results.push(all);
    return all;
  });
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_CONNECTION_LOST',
    outcome: 'not-applied',
  });
  expect(statuses((await results[0]) ?? [])).toEqual(['rejected', 'rejected', 'rejected']);
  expect(statementsLike(server, /^insert/)).toBe(0);
});
