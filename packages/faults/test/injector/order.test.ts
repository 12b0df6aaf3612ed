import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import { type ChaosFaultInjector, createChaosFaultInjector } from '@holdfast/faults';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createClient } from '@supabase/supabase-js';
import { Redis } from 'ioredis';
import { closeAfterTest } from '../close-after-test.ts';
import { openScriptedRedis } from '../protocol/scripted-redis.ts';

const STATEMENTS = ['begin', 'insert into rows values (1)', 'rollback', 'select 1', 'commit'];

/** An injector that delays the first call, or every second one, or damages it in some other way. */
const delaying: [string, (chaos: ChaosFaultInjector) => void][] = [
  [
    'the first call late',
    (chaos) => chaos.configureFault('network_delay', { latencyMs: 500, times: 1 }),
  ],
  [
    'some calls late',
    (chaos) =>
      chaos.configureFault('network_delay', { latencyMs: 50, jitterMs: 400, probability: 0.5 }),
  ],
  [
    'every call late',
    (chaos) => chaos.configureFault('network_delay', { latencyMs: 0, jitterMs: 900 }),
  ],
  ['the first answer damaged', (chaos) => chaos.configureFault('data_corruption', { times: 1 })],
  [
    'late calls and refused ones',
    (chaos) => {
      chaos.configureFault('network_delay', { latencyMs: 100, probability: 0.5 });
      chaos.configureFault('network_failure', { probability: 0.3 });
    },
  ],
];

/** A client of pg as far as the wrapper knows it: it answers in order, each statement with itself. */
function recordingClient(): {
  asked: string[];
  query(sql: string): Promise<{ rows: string[] }>;
  connect(): Promise<void>;
} {
  const asked: string[] = [];
  return {
    asked,
    async query(sql) {
      asked.push(sql);
      return { rows: [sql] };
    },
    async connect() {},
  };
}

interface Adapter {
  /** What reached the server, in its order. */
  readonly asked: readonly string[];
  readonly call: (sql: string) => Promise<unknown>;
  /** Over one connection, answers keep their order too. */
  readonly hasOneConnection: boolean;
}

/** A wrapped client of a server that keeps what it was asked; each call sets a key to the statement. */
async function openIoredis(
  chaos: ChaosFaultInjector,
  set: (client: Redis, sql: string) => Promise<unknown>,
): Promise<Adapter> {
  const server = await openScriptedRedis();
  const client = new Redis({ port: server.port, enableReadyCheck: false });
  const close = async (): Promise<void> => {
    client.disconnect();
    server.close();
  };
  closeAfterTest({ [Symbol.asyncDispose]: close });
  const wrapped = chaos.wrapRedis(client);
  await client.ping();
  const before = server.asked.length;
  return {
    get asked() {
      return server.asked.slice(before).map((line) => line.slice('set key '.length));
    },
    call: (sql) => set(wrapped, sql),
    hasOneConnection: true,
  };
}

const adapters: [string, (chaos: ChaosFaultInjector) => Promise<Adapter>][] = [
  [
    'execute',
    async (chaos) => {
      const client = recordingClient();
      const call = (sql: string): Promise<unknown> => chaos.execute(() => client.query(sql));
      return { asked: client.asked, call, hasOneConnection: false };
    },
  ],
  [
    'wrap',
    async (chaos) => {
      const client = recordingClient();
      const call = chaos.wrap((sql: string) => client.query(sql));
      return { asked: client.asked, call, hasOneConnection: false };
    },
  ],
  [
    'a pg client',
    async (chaos) => {
      const client = recordingClient();
      const wrapped = chaos.wrapPg(client);
      return { asked: client.asked, call: (sql) => wrapped.query(sql), hasOneConnection: true };
    },
  ],
  [
    'a pg client with callbacks',
    async (chaos) => {
      const client = recordingClient();
      const wrapped: { query(...args: unknown[]): unknown } = chaos.wrapPg(client);
      const call = (sql: string): Promise<unknown> =>
        new Promise((resolve, reject) => {
          const done = (error: unknown, result: unknown): void =>
            error === null ? resolve(result) : reject(error);
          wrapped.query(sql, done);
        });
      return { asked: client.asked, call, hasOneConnection: true };
    },
  ],
  [
    'a pg pool',
    async (chaos) => {
      const client = Object.assign(recordingClient(), { totalCount: 3 });
      const wrapped = chaos.wrapPg(client);
      return { asked: client.asked, call: (sql) => wrapped.query(sql), hasOneConnection: false };
    },
  ],
  ['ioredis', (chaos) => openIoredis(chaos, (client, sql) => client.set('key', sql))],
  [
    'ioredis pipelines',
    (chaos) => openIoredis(chaos, (client, sql) => client.pipeline().set('key', sql).exec()),
  ],
  [
    'an ioredis cluster',
    async (chaos) => {
      const asked: string[] = [];
      const client = {
        isCluster: true,
        getBuiltinCommands: () => ['set'],
        async set(_: string, sql: string) {
          asked.push(sql);
          return 'OK';
        },
      };
      const wrapped = chaos.wrapRedis(client);
      return { asked, call: (sql) => wrapped.set('key', sql), hasOneConnection: false };
    },
  ],
  [
    'S3',
    async (chaos) => {
      const asked: string[] = [];
      const answering = {
        async handle({ path }: { path: string }) {
          asked.push(decodeURIComponent(path.slice('/bucket/'.length)));
          return { response: { statusCode: 204, headers: {} } };
        },
      };
      const client = new S3Client({
        endpoint: 'http://127.0.0.1:1',
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
        requestHandler: answering,
      });
      closeAfterTest({ [Symbol.asyncDispose]: async () => client.destroy() });
      const wrapped = chaos.wrapAws(client);
      const call = (sql: string): Promise<unknown> =>
        wrapped.send(new DeleteObjectCommand({ Bucket: 'bucket', Key: sql }));
      return { asked, call, hasOneConnection: false };
    },
  ],
  [
    'Supabase',
    async (chaos) => {
      const asked: string[] = [];
      const answering = async (_: unknown, { body }: RequestInit = {}): Promise<Response> => {
        asked.push(Reflect.get(JSON.parse(typeof body === 'string' ? body : '{}'), 'sql'));
        return new Response(null, { status: 201 });
      };
      const client = createClient('http://127.0.0.1:1', 'key', {
        global: { fetch: chaos.fetch(answering) },
      });
      const call = async (sql: string): Promise<unknown> => {
        const { data, error } = await client.from('rows').insert({ sql });
        if (error !== null) throw new Error(error.message);
        return data;
      };
      return { asked, call, hasOneConnection: false };
    },
  ],
  [
    'fetch',
    async (chaos) => {
      const asked: string[] = [];
      const fetched = chaos.fetch(async (input) => {
        asked.push(
          decodeURIComponent(
            (typeof input === 'string' ? input : '').slice('http://api.invalid/'.length),
          ),
        );
        return new Response('answer');
      });
      const call = async (sql: string): Promise<unknown> => {
        const response = await fetched(`http://api.invalid/${encodeURIComponent(sql)}`);
        return response.text();
      };
      return { asked, call, hasOneConnection: false };
    },
  ],
];

test.each(
  adapters.flatMap(([name, open]) =>
    delaying.map(([fault, set]) => [name, fault, open, set] as const),
  ),
)('the calls of %s reach the server in their order with %s', async (_, __, open, set) => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { seed: 5, clock });
  const adapter = await open(chaos);
  set(chaos);
  const answered: string[] = [];
  const reached: string[] = [];
  const calls = STATEMENTS.map((sql) =>
    adapter.call(sql).then(
      () => {
        reached.push(sql);
        answered.push(sql);
      },
      () => void answered.push(sql),
    ),
  );
  await clock.settle(Promise.all(calls));
  expect(adapter.asked).toEqual(STATEMENTS.filter((sql) => reached.includes(sql)));
  expect(answered.toSorted()).toEqual(STATEMENTS.toSorted());
  expect(answered).toEqual(adapter.hasOneConnection ? STATEMENTS : answered);
});

test('a late answer of one connection holds up no other one, and a timeout holds up none', async () => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { clock });
  const one = chaos.wrapPg(recordingClient());
  const other = chaos.wrapPg(recordingClient());
  chaos.configureFault('network_delay', { latencyMs: 1_000, times: 1 });
  const late = one.query('late');
  await other.query('not late');
  chaos.configureFault('timeout', { latencyMs: 60_000, times: 1 });
  const never = other.query('never').catch((error: unknown) => error);
  await other.query('after it');
  expect(clock.now()).toBe(0);
  await clock.settle(late);
  expect(clock.now()).toBe(1_000);
  expect(await clock.settle(never)).toMatchObject({ code: 'ETIMEDOUT' });
});

test('a failure is as late as an answer, and an aborted delay rejects with its reason at once', async () => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { clock });
  chaos.configureFault('network_delay', { latencyMs: 300 });
  const failing = chaos.execute(() => Promise.reject(new Error('no')));
  await expect(clock.settle(failing)).rejects.toThrow('no');
  expect(clock.now()).toBe(300);
  const caller = new AbortController();
  const slow = chaos.execute(() => 1, { signal: caller.signal });
  await Promise.resolve();
  caller.abort(new Error('enough'));
  await expect(slow).rejects.toThrow('enough');
  expect(clock.pendingTimers).toBe(0);
});
