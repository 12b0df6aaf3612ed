import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import {
  type PostgresFaultProxy,
  type PostgresErrorKind,
  type RedisFaultProxy,
  type RedisErrorKind,
  createChaosFaultInjector,
  createPostgresFaultProxy,
  createRedisFaultProxy,
} from '@holdfast/faults';
import { type Stage, openStage } from '@holdfast/stage';
import { Redis } from 'ioredis';
import { Client } from 'pg';

let stage: Stage<{ mode: 'local'; redis: true; postgres: true }>;
let redis: RedisFaultProxy;
let postgres: PostgresFaultProxy;

beforeAll(async () => {
  stage = await openStage({ mode: 'local', redis: true, postgres: true });
  const { host, port } = stage.redis;
  redis = await createRedisFaultProxy({ target: { host, port }, seed: 8 });
  const { primary } = stage.postgres;
  postgres = await createPostgresFaultProxy({
    target: { host: primary.host, port: primary.port },
    seed: 8,
  });
});
beforeEach(() => {
  redis.heal();
  postgres.heal();
});
afterAll(async () => {
  await redis?.close();
  await postgres?.close();
  await stage?.close();
});

async function withRedis(work: (client: Redis) => Promise<void>, protocol: 2 | 3): Promise<void> {
  const client = new Redis({ host: redis.host, port: redis.port, protocol, retryStrategy: null });
  client.on('error', () => {});
  try {
    await work(client);
  } finally {
    client.disconnect();
  }
}

async function withPostgres(work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ host: postgres.host, port: postgres.port, user: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  try {
    // Not a temporary table: a read-only transaction may write to those.
    await client.query('create table rows (id int primary key)');
    await work(client);
  } finally {
    await client.end().catch(() => {});
    postgres.heal();
    await withoutFaults((direct) => direct.query('drop table rows'));
  }
}

/** A session that passes no proxy. */
async function withoutFaults(work: (client: Client) => Promise<unknown>): Promise<void> {
  const { host, port } = stage.postgres.primary;
  const client = new Client({ host, port, user: 'postgres' });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

const refusals: RedisErrorKind[] = [
  'OOM',
  'READONLY',
  'LOADING',
  'MISCONF',
  'NOAUTH',
  'CLUSTERDOWN',
];

test.each([2, 3] as const)(
  'a connection in RESP%d receives the injected error of Redis, and stays usable',
  async (protocol) => {
    await withRedis(async (client) => {
      await client.hset('map', { one: '1', two: '2' });
      for (const word of refusals) {
        redis.faults.set(word);
        await expect(client.set('key', 'after')).rejects.toThrow(word);
        redis.heal();
      }
      expect(await client.get('key')).toBeNull();
      expect(await client.hgetall('map')).toEqual({ one: '1', two: '2' });
    }, protocol);
  },
);

test.each([2, 3] as const)(
  'replies of every kind keep their order among injected errors in RESP%d',
  async (protocol) => {
    redis.faults.set('READONLY', { probability: 0.4 });
    await withRedis(async (client) => {
      const pipeline = client.pipeline();
      const numbers = Array.from({ length: 300 }, (_, index) => index);
      for (const index of numbers) {
        pipeline
          .set(`order:${index}`, index)
          .get(`order:${index}`)
          .lrange('none', 0, -1)
          .echo(String(index));
      }
      const outcomes = (await pipeline.exec()) ?? [];
      const ofKind = (kind: number) => numbers.map((index) => outcomes[4 * index + kind]);
      const refused = new Set(numbers.filter((index) => outcomes[4 * index]?.[0] !== null));
      expect(ofKind(1)).toEqual(
        numbers.map((index) => [null, refused.has(index) ? null : String(index)]),
      );
      expect(ofKind(2)).toEqual(numbers.map(() => [null, []]));
      expect(ofKind(3)).toEqual(numbers.map((index) => [null, String(index)]));
      expect(refused.size).toBeGreaterThan(60);
      await client.flushall().catch(() => {});
    }, protocol);
  },
);

/** A row of the reply to `COMMAND`: name, arity, flags, first key. */
function isRow(row: unknown): row is [string, number, string[], number] {
  return Array.isArray(row) && typeof row[0] === 'string' && Array.isArray(row[2]);
}

const refusedIf: [RedisErrorKind, (flags: readonly string[]) => boolean][] = [
  ['OOM', (flags) => flags.includes('denyoom')],
  ['READONLY', (flags) => flags.includes('write')],
  ['MISCONF', (flags) => flags.includes('write')],
  ['LOADING', (flags) => !flags.includes('loading')],
];

test('an injected error reaches every command that Redis itself would reject with it', async () => {
  await withRedis(async (client) => {
    const rows: unknown = await client.call('command');
    const commands = Array.isArray(rows) ? rows.filter(isRow) : [];
    expect(commands.length).toBeGreaterThan(200);
    for (const [word, isRefused] of refusedIf) {
      // The flags of `client` belong to its subcommands, some of which are allowed while Redis loads.
      const names = commands
        .filter(([name, , flags]) => name !== 'client' && isRefused(flags))
        .map(([name]) => name);
      redis.faults.set(word);
      const outcomes = await Promise.allSettled(names.map((name) => client.call(name)));
      redis.heal();
      const passed = names.filter((_, index) => {
        const outcome = outcomes[index];
        return outcome?.status !== 'rejected' || !String(outcome.reason).includes(`${word} `);
      });
      expect(passed).toEqual([]);
    }
  }, 2);
});

test('a real Redis rejects a transaction that contains a rejected command', async () => {
  await withRedis(async (client) => {
    redis.faults.set('OOM', { times: 1 });
    const outcome = client.multi().set('multi:one', 1).incr('multi:two').exec();
    await expect(outcome).rejects.toThrow('EXECABORT');
    expect(await client.exists('multi:one', 'multi:two')).toBe(0);
    expect(await client.multi().set('multi:one', 1).exec()).toEqual([[null, 'OK']]);
  }, 2);
});

const ofStatements: [PostgresErrorKind, string][] = [
  ['40001', 'could not serialize access due to concurrent update'],
  ['40P01', 'deadlock detected'],
  ['25006', 'cannot execute INSERT in a read-only transaction'],
  ['53100', 'could not extend file "base/5/16384": No space left on device'],
];
const INSERT = 'insert into rows values ($1)';

test.each(ofStatements)(
  '%s rejects a statement, and the session stays usable',
  async (code, message) => {
    await withPostgres(async (client) => {
      const refused = { code, message, severity: 'ERROR' };
      postgres.faults.set(code, { times: 3 });
      await expect(client.query('insert into rows values (1)')).rejects.toMatchObject(refused);
      await expect(client.query(INSERT, [1])).rejects.toMatchObject(refused);
      await expect(client.query({ name: 'put', text: INSERT, values: [1] })).rejects.toMatchObject(
        refused,
      );
      await client.query({ name: 'put', text: INSERT, values: [2] });
      expect((await client.query('select id from rows')).rows).toEqual([{ id: 2 }]);
    });
  },
);

test.each([
  ['simple', 'insert into rows values (2)', []],
  ['extended', INSERT, [2]],
] as const)(
  'an injected error aborts its transaction in the %s protocol',
  async (_, sql, values) => {
    await withPostgres(async (client) => {
      await client.query('begin');
      await client.query('insert into rows values (1)');
      postgres.faults.set('40001', { statements: ['insert'], times: 1 });
      await expect(client.query(sql, [...values])).rejects.toMatchObject({ code: '40001' });
      await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
      expect((await client.query('commit')).command).toBe('ROLLBACK');
      expect((await client.query('select id from rows')).rows).toEqual([]);
    });
  },
);

test('a rejected commit stores nothing and ends the transaction', async () => {
  await withPostgres(async (client) => {
    postgres.faults.set('40001', { statements: ['commit'] });
    await client.query('begin');
    await client.query('insert into rows values (1)');
    await expect(client.query('commit')).rejects.toMatchObject({ code: '40001' });
    expect((await client.query('select id from rows')).rows).toEqual([]);
    await client.query('insert into rows values (3)');
    expect((await client.query('select id from rows')).rows).toEqual([{ id: 3 }]);
  });
});

test.each([1, 0.5])(
  'commands of one client keep their order when a share of %d of their answers is late',
  async (probability) => {
    await withPostgres(async (client) => {
      const chaos = createChaosFaultInjector(true, { seed: 3 });
      chaos.configureFault('network_delay', { latencyMs: 40, jitterMs: 40, probability });
      const late = chaos.wrapPg(client);
      const sent = ['begin', 'insert into rows values (1)', 'rollback', 'select id from rows'];
      const answered: string[] = [];
      const calls = sent.map((sql) => late.query(sql).then(() => void answered.push(sql)));
      await Promise.all(calls);
      expect(answered).toEqual(sent);
      expect((await client.query('select id from rows')).rows).toEqual([]);
    });
  },
);

test('57P01 in place of a statement ends the session and rolls back its transaction', async () => {
  await withPostgres(async (client) => {
    const ended = new Promise((resolve) => client.once('end', resolve));
    postgres.faults.set('57P01', { containing: 'pg_sleep' });
    await client.query('select 1');
    await expect(client.query('select pg_sleep(0)')).rejects.toMatchObject({
      code: '57P01',
      severity: 'FATAL',
    });
    await ended;
  });
});

test('all sessions are terminated at once, including idle ones', async () => {
  const client = new Client({ host: postgres.host, port: postgres.port, user: 'postgres' });
  await client.connect();
  const notified = new Promise((resolve) => client.once('error', resolve));
  postgres.terminate();
  expect(await notified).toMatchObject({ code: '57P01' });
  await client.end().catch(() => {});
});

test('large results and values pass a protocol-aware proxy unchanged', async () => {
  await withPostgres(async (client) => {
    postgres.faults.set('25006');
    const { rows } = await client.query<{ length: number; text: string }>(
      "select length($1::text), repeat('y', 3000000) as text",
      ['x'.repeat(5_000_000)],
    );
    expect(rows[0]?.length).toBe(5_000_000);
    expect(rows[0]?.text).toBe('y'.repeat(3_000_000));
  });
});
