import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { memoryLedger, postgresLedger, redisLedger } from '@holdfast/queue';

const entry = { topic: 't', id: 'a' };

test('the memory ledger runs an effect once, and again after it failed', async () => {
  const ledger = memoryLedger();
  let runs = 0;
  const failing = ledger.once(entry, async () => {
    throw new Error('no luck');
  });
  await expect(failing).rejects.toThrow('no luck');
  const effect = async (): Promise<void> => {
    runs += 1;
  };
  const both = await Promise.all([ledger.once(entry, effect), ledger.once(entry, effect)]);
  expect(both).toEqual(['applied', 'known']);
  expect(await ledger.once({ topic: 'other', id: 'a' }, effect)).toBe('applied');
  expect(runs).toBe(2);
});

test('the memory ledger drops the oldest entry beyond its limit', async () => {
  const ledger = memoryLedger({ maxEntries: 2 });
  const effect = async (): Promise<void> => undefined;
  for (const id of ['a', 'b', 'c']) await ledger.once({ topic: 't', id }, effect);
  expect(await ledger.once({ topic: 't', id: 'c' }, effect)).toBe('known');
  expect(await ledger.once({ topic: 't', id: 'a' }, effect)).toBe('applied');
});

test('the Redis ledger records an effect only after it has happened', async () => {
  const notes = new Map<string, number>();
  const client = {
    exists: async (key: string) => (notes.has(key) ? 1 : 0),
    set: async (key: string, _: string, __: 'PX', ms: number) => notes.set(key, ms),
  };
  const ledger = redisLedger({ client, ttlMs: 5, prefix: 'p' });
  await expect(ledger.once(entry, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(notes.size).toBe(0);
  expect(await ledger.once(entry, async () => undefined)).toBe('applied');
  expect([...notes]).toEqual([['p:{t}:a', 5]]);
  expect(await ledger.once(entry, () => Promise.reject(new Error('no')))).toBe('known');
});

interface Calls {
  readonly statements: string[];
  readonly released: (Error | boolean | undefined)[];
}

/** A pool with one connection, which answers by the first word of the statement. */
function pool(answers: Record<string, { rowCount: number | null; command?: string } | Error>): {
  calls: Calls;
  client: Parameters<typeof postgresLedger>[0]['client'];
} {
  const calls: Calls = { statements: [], released: [] };
  return {
    calls,
    client: {
      connect: async () => ({
        async query(sql) {
          const [word = ''] = sql.split(' ');
          calls.statements.push(word);
          const answer = answers[word] ?? { rowCount: 1 };
          if (answer instanceof Error) throw answer;
          return answer;
        },
        release: (broken) => calls.released.push(broken),
      }),
    },
  };
}

test('the Postgres ledger inserts the entry and runs the effect in one transaction', async () => {
  const { calls, client } = pool({});
  const ledger = postgresLedger({ client });
  const outcome = await ledger.once(entry, async (connection) => {
    await connection.query('UPDATE things');
  });
  expect(outcome).toBe('applied');
  expect(calls).toEqual({ statements: ['BEGIN', 'INSERT', 'UPDATE', 'COMMIT'], released: [false] });
});

test('the Postgres ledger does not run the effect of a job whose entry exists', async () => {
  const { calls, client } = pool({ INSERT: { rowCount: 0 } });
  const ledger = postgresLedger({ client });
  expect(await ledger.once(entry, () => Promise.reject(new Error('no')))).toBe('known');
  expect(calls).toEqual({ statements: ['BEGIN', 'INSERT', 'ROLLBACK'], released: [false] });
});

test('a failed effect rolls its entry back, and a connection that cannot roll back is not reused', async () => {
  const { calls, client } = pool({ ROLLBACK: new Error('gone') });
  const ledger = postgresLedger({ client });
  await expect(ledger.once(entry, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(calls).toEqual({ statements: ['BEGIN', 'INSERT', 'ROLLBACK'], released: [true] });
});

test('a COMMIT that Postgres turns into a ROLLBACK is a failure, not an effect', async () => {
  const { client } = pool({ COMMIT: { rowCount: null, command: 'ROLLBACK' } });
  const ledger = postgresLedger({ client });
  await expect(ledger.once(entry, async () => undefined)).rejects.toMatchObject({
    code: 'QUEUE_EFFECT_ROLLED_BACK',
    retryable: true,
  });
});

test.each([['a b'], ['x;y'], ['a.b.c'], ['1a']])('the table name %j is rejected', (table) => {
  expect(() => postgresLedger({ client: pool({}).client, table })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'table' }),
  );
});

test('an effect whose record Redis does not take is not repeated, and is recorded later', async () => {
  const notes = new Set<string>();
  let isAway = false;
  const client = {
    exists: async (key: string) => (notes.has(key) ? 1 : 0),
    set: async (key: string) => {
      if (isAway) throw new Error('Connection is closed.');
      return notes.add(key);
    },
  };
  const ledger = redisLedger({ client });
  let runs = 0;
  const effect = async (): Promise<void> => {
    runs += 1;
    isAway = true;
  };
  expect(await ledger.once(entry, effect)).toBe('applied');
  expect(await ledger.once(entry, effect)).toBe('known');
  expect(runs).toBe(1);
  expect(notes.size).toBe(0);
  isAway = false;
  expect(await ledger.once({ topic: 't', id: 'b' }, async () => undefined)).toBe('applied');
  expect([...notes].toSorted()).toEqual(['holdfast:done:{t}:a', 'holdfast:done:{t}:b']);
  expect(await ledger.once(entry, effect)).toBe('known');
});

test.each<[string, (options: never) => unknown]>([
  ['memory', memoryLedger],
  ['Redis', redisLedger],
  ['Postgres', postgresLedger],
])('a secret in the wrong field of the options of the %s ledger is shown nowhere', (_, open) => {
  for (const value of ['hunter2', 'redis://:hunter2@h/0', { password: 'hunter2' }, ['hunter2']]) {
    let thrown: unknown;
    try {
      Reflect.apply(open, undefined, [{ connection: value, client: {} }]);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'INVALID_OPTION', field: 'connection' });
    expect(inspect(thrown, { depth: 9 })).not.toContain('hunter2');
  }
});
