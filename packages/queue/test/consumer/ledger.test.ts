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

test('the memory ledger forgets the oldest beyond its bound', async () => {
  const ledger = memoryLedger({ maxEntries: 2 });
  const effect = async (): Promise<void> => undefined;
  for (const id of ['a', 'b', 'c']) await ledger.once({ topic: 't', id }, effect);
  expect(await ledger.once({ topic: 't', id: 'c' }, effect)).toBe('known');
  expect(await ledger.once({ topic: 't', id: 'a' }, effect)).toBe('applied');
});

test('the Redis ledger notes an effect only when it has happened', async () => {
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

interface Told {
  readonly said: string[];
  readonly released: (Error | boolean | undefined)[];
}

/** A pool whose one connection answers as told, by the first word of what is said. */
function pool(answers: Record<string, { rowCount: number | null; command?: string } | Error>): {
  told: Told;
  client: Parameters<typeof postgresLedger>[0]['client'];
} {
  const told: Told = { said: [], released: [] };
  return {
    told,
    client: {
      connect: async () => ({
        async query(sql) {
          const [word = ''] = sql.split(' ');
          told.said.push(word);
          const answer = answers[word] ?? { rowCount: 1 };
          if (answer instanceof Error) throw answer;
          return answer;
        },
        release: (broken) => told.released.push(broken),
      }),
    },
  };
}

test('the Postgres ledger enters the job and runs the effect in one transaction', async () => {
  const { told, client } = pool({});
  const ledger = postgresLedger({ client });
  const outcome = await ledger.once(entry, async (connection) => {
    await connection.query('UPDATE things');
  });
  expect(outcome).toBe('applied');
  expect(told).toEqual({ said: ['BEGIN', 'INSERT', 'UPDATE', 'COMMIT'], released: [false] });
});

test('the Postgres ledger does not run the effect of a job whose entry is there', async () => {
  const { told, client } = pool({ INSERT: { rowCount: 0 } });
  const ledger = postgresLedger({ client });
  expect(await ledger.once(entry, () => Promise.reject(new Error('no')))).toBe('known');
  expect(told).toEqual({ said: ['BEGIN', 'INSERT', 'ROLLBACK'], released: [false] });
});

test('an effect that fails takes its entry along, and a connection that cannot roll back is not used again', async () => {
  const { told, client } = pool({ ROLLBACK: new Error('gone') });
  const ledger = postgresLedger({ client });
  await expect(ledger.once(entry, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(told).toEqual({ said: ['BEGIN', 'INSERT', 'ROLLBACK'], released: [true] });
});

test('a COMMIT that Postgres turns into a ROLLBACK is a failure, not an effect', async () => {
  const { client } = pool({ COMMIT: { rowCount: null, command: 'ROLLBACK' } });
  const ledger = postgresLedger({ client });
  await expect(ledger.once(entry, async () => undefined)).rejects.toMatchObject({
    code: 'QUEUE_EFFECT_ROLLED_BACK',
    retryable: true,
  });
});

test.each([['a b'], ['x;y'], ['a.b.c'], ['1a']])('the table name %j is refused', (table) => {
  expect(() => postgresLedger({ client: pool({}).client, table })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'table' }),
  );
});
