import { expect, test } from '@jest/globals';
import { type ChaosFaultInjector, createChaosFaultInjector } from '@holdfast/faults';
import { chaosHandler } from '@holdfast/faults/msw';
import { chaosReply } from '@holdfast/faults/nock';
import { createFakeClock } from '@holdfast/foundation/testing';
import { Redis } from 'ioredis';
import { getResponse } from 'msw';
import nock from 'nock';
import { Pool } from 'pg';
import { type ScriptedRedis, openScriptedRedis } from '../protocol/scripted-redis.ts';

const SEED = 11;
const CALLS = 40;
const URL_ASKED = 'http://api.invalid/bundles';

/** Refusals and 429s by chance, and one late answer. */
function injector(): ChaosFaultInjector {
  const chaos = createChaosFaultInjector(true, { seed: SEED });
  chaos.configureFault('network_failure', { probability: 0.3 });
  chaos.configureFault('rate_limit', { probability: 0.2 });
  chaos.configureFault('network_delay', { probability: 0.5, latencyMs: 1 });
  return chaos;
}

async function withRedis(
  work: (client: Redis, server: ScriptedRedis) => Promise<void>,
): Promise<void> {
  const server = await openScriptedRedis();
  const client = new Redis({ port: server.port, enableReadyCheck: false });
  try {
    await work(client, server);
  } finally {
    client.disconnect();
    server.close();
  }
}

/** A pool whose queries are answered here. */
function scriptedPool(): Pool {
  const pool = new Pool();
  const answer = async () => ({ rows: [{ id: 1 }, { id: 2 }, { id: 3 }], rowCount: 3 });
  return Object.assign(pool, {
    query: answer,
    connect: async () => ({ query: answer, connect: answer }),
  });
}

const times = async (call: () => Promise<unknown>): Promise<boolean[]> => {
  const failed: boolean[] = [];
  for (let index = 0; index < CALLS; index += 1) {
    failed.push(
      await call().then(
        () => false,
        () => true,
      ),
    );
  }
  return failed;
};

/** Every form of the same forty calls: which failed. */
const forms: [string, (chaos: ChaosFaultInjector) => Promise<boolean[]>][] = [
  ['a function', (chaos) => times(chaos.wrap(async () => 'answer'))],
  [
    'ioredis',
    async (chaos) => {
      let failed: boolean[] = [];
      await withRedis(async (client) => {
        const wrapped = chaos.wrapRedis(client);
        failed = await times(() => wrapped.get('key'));
      });
      return failed;
    },
  ],
  ['pg', (chaos) => times(() => chaos.wrapPg(scriptedPool()).query('select 1'))],
  [
    'fetch',
    (chaos) => {
      const fetched = chaos.fetch(async () => new Response('answer'));
      return times(async () => {
        if (!(await fetched(URL_ASKED)).ok) throw new Error('refused');
      });
    },
  ],
  [
    'msw',
    (chaos) => {
      const handlers = [chaosHandler(chaos, URL_ASKED, () => new Response('answer'))];
      return times(async () => {
        const response = await getResponse(handlers, new Request(URL_ASKED));
        if (response === undefined || !response.ok) throw new Error('refused');
      });
    },
  ],
  [
    'nock',
    async (chaos) => {
      const scope = nock('http://api.invalid').persist();
      chaosReply(chaos, scope.get('/bundles'), () => new Response('answer'));
      try {
        return await times(async () => {
          if (!(await fetch(URL_ASKED)).ok) throw new Error('refused');
        });
      } finally {
        nock.cleanAll();
        nock.restore();
      }
    },
  ],
];

test.each(forms)('equal seeds give equal decisions for %s', async (_, play) => {
  const plain = injector();
  const expected = await times(plain.wrap(async () => 'answer'));
  const chaos = injector();
  expect(await play(chaos)).toEqual(expected);
  expect(chaos.decisions()).toEqual(plain.decisions());
  expect(expected).toContain(true);
  expect(expected).toContain(false);
});

test('faults apply to ioredis commands as promises, with callbacks and in a pipeline', async () => {
  await withRedis(async (client, server) => {
    const chaos = createChaosFaultInjector(true, { seed: SEED });
    const wrapped = chaos.wrapRedis(client);
    await wrapped.set('key', 'value');
    const value: string | null = await wrapped.get('key');
    expect(value).toBe('value');
    expect(wrapped.status).toBe('ready');
    chaos.configureFault('network_failure', { errorMessage: 'ECONNRESET' });
    const failure = { code: 'ECONNRESET', injection: { kind: 'network_failure', seed: SEED } };
    await expect(wrapped.get('key')).rejects.toMatchObject(failure);
    const seen = await new Promise((resolve) => void wrapped.get('key', resolve));
    expect(seen).toMatchObject(failure);
    const asked = server.asked.length;
    await expect(wrapped.pipeline().set('a', 1).set('b', 2).exec()).rejects.toMatchObject(failure);
    expect(server.asked.length).toBe(asked);
    chaos.clear();
    expect(await wrapped.pipeline().set('a', 1).get('a').exec()).toEqual([
      [null, 'OK'],
      [null, '1'],
    ]);
    await new Promise<void>((resolve) => void wrapped.get('a', () => resolve()));
  });
});

test('rows of pg are removed and corrupted, for clients of a pool too', async () => {
  const chaos = createChaosFaultInjector(true, { seed: SEED });
  const pool = chaos.wrapPg(scriptedPool());
  chaos.configureFault('partial_failure', { lostShare: 0.5 });
  const { rows } = await pool.query<{ id: number }>('select id from rows');
  expect(rows.length).toBeLessThan(3);
  chaos.clear();
  chaos.configureFault('data_corruption');
  const damaged = await pool.query<{ id: number }>('select id from rows');
  expect(damaged.rows).toHaveLength(3);
  expect(damaged.rows).not.toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  chaos.clear();
  chaos.configureFault('timeout', { latencyMs: 0 });
  const client = await pool.connect();
  await expect(client.query('select 1')).rejects.toMatchObject({ code: 'ETIMEDOUT' });
});

test('a request with a late msw response is aborted by its own signal', async () => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { seed: SEED, clock });
  chaos.configureFault('timeout');
  const caller = new AbortController();
  const faulty = chaos.fetch(async () => new Response('never'));
  const waiting = faulty(new Request(URL_ASKED, { signal: caller.signal }));
  caller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  expect(clock.pendingTimers).toBe(0);
});
