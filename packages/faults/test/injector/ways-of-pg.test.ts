import { expect, test } from '@jest/globals';
import { type ChaosFaultInjector, createChaosFaultInjector } from '@holdfast/faults';
import { Client, Pool, type PoolClient, Query } from 'pg';
import Cursor from 'pg-cursor';
import { closeAfterTest } from '../close-after-test.ts';
import { openScriptedPostgres } from './scripted-postgres.ts';
import { emitter, methodsOf, struck } from './ways.ts';

/** Ways that send what the caller asks, and lead to what does. */
const striking = ['query', 'connect'];
/** Ways that send nothing of the caller's. */
const others = [
  'end',
  'ref',
  'unref',
  'cancel',
  'getStartupConf',
  'getTransactionStatus',
  'escapeIdentifier',
  'escapeLiteral',
  'setTypeParser',
  'getTypeParser',
  'log',
  'Client',
  'Promise',
  'newClient',
];

interface Stand {
  readonly chaos: ChaosFaultInjector;
  readonly raw: Pool;
  readonly pool: Pool;
  readonly asked: string[];
}

async function stand(): Promise<Stand> {
  const server = await openScriptedPostgres();
  const raw = new Pool({ host: '127.0.0.1', port: server.port, user: 'u', max: 4 });
  closeAfterTest({
    [Symbol.asyncDispose]: async () => {
      server.close();
      await raw.end().catch(() => {});
    },
  });
  raw.on('error', () => {});
  const chaos = createChaosFaultInjector(true, { seed: 7 });
  chaos.configureFault('network_failure');
  return { chaos, raw, pool: chaos.wrapPg(raw), asked: server.asked };
}

test('every method of client and pool is in a table: what they gain, someone decides about', () => {
  const known = new Set([...striking, ...others, ...emitter]);
  for (const client of [new Client(), new Pool()]) {
    const own = [...methodsOf(client)].filter((name) => !name.startsWith('_'));
    expect(own.filter((name) => !known.has(name))).toEqual([]);
  }
});

const called = (call: (callback: (error: Error | undefined, result?: unknown) => void) => void) =>
  new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result)));
  });
const withClient = async (pool: Pool, work: (client: PoolClient) => unknown): Promise<unknown> => {
  const client = await pool.connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
};

const ways: Record<string, (pool: Pool, raw: Pool, chaos: ChaosFaultInjector) => unknown> = {
  'pool.query': (pool) => pool.query('select 1'),
  'pool.query with values': (pool) => pool.query('select $1', ['1']),
  'pool.query with a configuration': (pool) => pool.query({ text: 'select 1', name: 'one' }),
  'pool.query with a callback': (pool) => called((done) => pool.query('select 1', done)),
  'pool.query with values and a callback': (pool) =>
    called((done) => pool.query('select $1', ['1'], done)),
  'client.query of a pool': (pool) => withClient(pool, (client) => client.query('select 1')),
  'client.query with a callback': (pool) =>
    withClient(pool, (client) => called((done) => client.query('select 1', done))),
  'client.query with a callback in its configuration': (pool) =>
    withClient(pool, (client: any) =>
      called((callback) => client.query({ text: 'select 1', callback })),
    ),
  'connect with a callback': (pool) =>
    called((callback) => {
      pool.connect((error, client, done) => {
        if (client === undefined) callback(error);
        else {
          client.query('select 1', (failure, result) => {
            done();
            callback(failure, result);
          });
        }
      });
    }),
  'a client of its own': async (_, raw, chaos) => {
    const client = chaos.wrapPg(
      new Client({ host: '127.0.0.1', port: raw.options.port ?? 0, user: 'u' }),
    );
    await client.connect();
    try {
      return await client.query('select 1');
    } finally {
      await client.end();
    }
  },
  'the client in a listener of the pool': async (pool) => {
    const answered = new Promise((resolve, reject) => {
      pool.once('acquire', (client) => void client.query('select 1').then(resolve, reject));
    });
    answered.catch(() => {});
    await withClient(pool, () => {});
    return answered;
  },
  'a cursor': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor('select 1'));
      const rows = await cursor.read(10);
      await cursor.close();
      return rows;
    }),
  'a query object with a callback': (pool) =>
    withClient(pool, (client: any) =>
      called((callback) => {
        const query: any = new Query('select 1');
        query.callback = callback;
        client.query(query);
      }),
    ),
  'a method taken off the pool': (pool: any) => {
    const { query } = pool;
    return query('select 1');
  },
};

test.each(Object.keys(ways))('struck, with nothing sent: %s', async (name) => {
  const { chaos, pool, raw, asked } = await stand();
  await expect((async () => ways[name]?.(pool, raw, chaos))()).rejects.toMatchObject(struck);
  expect(asked).toEqual([]);
  chaos.clear();
  await expect((async () => ways[name]?.(pool, raw, chaos))()).resolves.not.toThrow();
  expect(asked.length).toBeGreaterThan(0);
  expect(raw.waitingCount).toBe(0);
});

test('queries and cursors keep their order when no fault delays them', async () => {
  const { chaos, pool, asked } = await stand();
  chaos.clear();
  const client = await pool.connect();
  const first = client.query('begin');
  const cursor = client.query(new Cursor('declared'));
  const last = client.query('commit');
  await cursor.read(1);
  await cursor.close();
  await Promise.all([first, last]);
  client.release();
  expect(asked.map((text) => text.trim())).toEqual(['begin', 'declared', 'commit']);
});
