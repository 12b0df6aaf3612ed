import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { type as arktype } from 'arktype';
import * as valibot from 'valibot';
import * as zod from 'zod';
import { createQueueOn } from '../../src/create-queue.ts';
import { createMemoryBackend } from '../../src/memory/backend.ts';
import { type TopicHandler, defineTopics } from '../../src/producer/define-topics.ts';
import type { StandardSchema } from '../../src/producer/schema.ts';
import type { Queue } from '../../src/queue.ts';
import { openTestQueue } from '../open-queue.ts';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((queue) => queue.close()));
});

function closedAfterTest<Q extends { close(): Promise<void> }>(queue: Q): Q {
  opened.push(queue);
  return queue;
}

/** The schema `{ amount }`, which takes text and gives a number. */
const schemas = {
  zod: zod.object({ amount: zod.string().regex(/^\d+$/).transform(Number) }),
  valibot: valibot.object({
    amount: valibot.pipe(valibot.string(), valibot.regex(/^\d+$/), valibot.transform(Number)),
  }),
  arktype: arktype({ amount: arktype('/^\\d+$/').pipe(Number) }),
  'zod, asynchronous': zod.object({
    amount: zod
      .string()
      .refine(async (text) => /^\d+$/.test(text))
      .transform(Number),
  }),
};

test.each(Object.entries(schemas))(
  'the handler of a topic with a schema of %s receives the output, and an invalid payload is rejected with its path',
  async (_, orders) => {
    const queue = closedAfterTest(createQueueOn(createMemoryBackend(), { topics: { orders } }));
    const handled = new Promise<number>((resolve) => {
      queue.process('orders', ({ payload }) => resolve(payload.amount + 1));
    });
    await queue.enqueue('orders', { amount: '41' });
    expect(await handled).toBe(42);
    await expect(queue.enqueue('orders', { amount: 'many' })).rejects.toMatchObject({
      code: 'QUEUE_SCHEMA_VIOLATION',
      issues: [{ path: 'payload.amount' }],
    });
    const jobs = [{ payload: { amount: '1' } }, { payload: { amount: 'many' } }];
    await expect(queue.enqueueMany('orders', jobs)).rejects.toMatchObject({
      code: 'QUEUE_SCHEMA_VIOLATION',
    });
  },
);

test('the compiler knows the payload of each topic', () => {
  const check = (
    queue: Queue<{
      orders: (typeof schemas)['zod'];
      emails: { schema: (typeof schemas)['valibot']; maxJobs: number };
      pings: { maxJobs: number };
    }>,
    topic: string,
  ): void => {
    void queue.enqueue('orders', { amount: '1' });
    void queue.enqueueMany('emails', [{ payload: { amount: '1' } }]);
    void queue.enqueue('pings', { anything: 1 });
    void queue.enqueue(topic, { anything: 1 });
    // @ts-expect-error -- the input is text
    void queue.enqueue('orders', { amount: 1 });
    // @ts-expect-error -- the input is text
    void queue.enqueueMany('emails', [{ payload: { amount: 1 } }]);
    queue.process('orders', ({ payload }) => void payload.amount.toFixed());
    queue.process('emails', ({ payload }) => void payload.amount.toFixed());
    // @ts-expect-error -- the output is a number
    queue.process('orders', ({ payload }) => void payload.amount.trim());
    // @ts-expect-error -- without a schema the payload is unknown
    queue.process('pings', ({ payload }) => void payload.anything);
  };
  expect(check).toBeInstanceOf(Function);
});

test('a payload is validated as JSON reads it back', async () => {
  const topics = { at: zod.object({ at: zod.date() }), lax: zod.object({ at: zod.coerce.date() }) };
  const queue = closedAfterTest(createQueueOn(createMemoryBackend(), { topics }));
  const at = new Date(0);
  await expect(queue.enqueue('at', { at })).rejects.toMatchObject({
    code: 'QUEUE_SCHEMA_VIOLATION',
    issues: [{ path: 'payload.at' }],
  });
  const handled = new Promise<Date>((resolve) => {
    queue.process('lax', ({ payload }) => resolve(payload.at));
  });
  await queue.enqueue('lax', { at });
  expect(await handled).toEqual(at);
});

test('a job that does not fit the schema of its consumer is dead-lettered at once, with the path', async () => {
  const backend = createMemoryBackend();
  const old = createQueueOn(backend);
  await old.enqueue('orders', { amount: 7 }, { jobId: 'old' });
  const server = closedAfterTest(createQueueOn(backend, { topics: { orders: schemas.zod } }));
  const dead = nextEvent(server, 'dead-lettered');
  let calls = 0;
  const consumer = server.process('orders', () => void (calls += 1), { maxAttempts: 5 });
  expect(await dead).toMatchObject({
    id: 'old',
    attempts: 1,
    reason: expect.stringContaining('payload.amount does not fit the schema'),
  });
  expect(calls).toBe(0);
  await consumer.close();
  const [letter] = await server.deadLetters('orders').list();
  expect(letter).toMatchObject({ id: 'old', payload: { amount: 7 } });
  expect(letter?.reason).toContain('payload.amount');
});

/** A schema whose validations end when the test says so. */
function heldSchema(): { schema: StandardSchema; release: (index: number) => void } {
  const releases: (() => void)[] = [];
  const schema: StandardSchema = {
    '~standard': {
      validate: (value) =>
        new Promise((resolve) => {
          releases.push(() => resolve({ value }));
        }),
    },
  };
  return { schema, release: (index) => releases[index]?.() };
}

test('jobs whose validation takes longer keep their place in the order of the calls', async () => {
  const { schema, release } = heldSchema();
  const { queue, backend } = openTestQueue({ topics: { t: schema } });
  closedAfterTest(queue);
  backend.up();
  await queue.ready();
  const abort = new AbortController();
  const first = queue.enqueue('t', 1);
  const many = queue.enqueueMany('t', [{ payload: 2 }, { payload: 3 }]);
  const given = queue.enqueue('t', 4, { signal: abort.signal });
  const last = queue.enqueue('t', 5);
  for (const index of [4, 3, 2, 1]) release(index);
  abort.abort(new Error('enough'));
  await expect(given).rejects.toThrow('enough');
  await nextTurn();
  expect(backend.applied.get('t')).toBeUndefined();
  release(0);
  await Promise.all([first, many, last]);
  expect(backend.applied.get('t')).toEqual(['1', '2', '3', '5']);
});

test('a schema that throws or rejects is the caller’s error, and later jobs go on', async () => {
  const topics: Record<string, StandardSchema> = {
    throws: {
      '~standard': {
        validate: (value) => {
          if (value === 'bad') throw new TypeError('broken schema');
          return { value };
        },
      },
    },
    rejects: {
      '~standard': {
        validate: async (value) => {
          if (value === 'bad') throw new TypeError('broken schema');
          return { value };
        },
      },
    },
  };
  const queue = closedAfterTest(createQueueOn(createMemoryBackend(), { topics }));
  for (const topic of Object.keys(topics)) {
    const bad = queue.enqueue(topic, 'bad');
    const good = queue.enqueue(topic, 'good');
    await expect(bad).rejects.toThrow('broken schema');
    expect(await good).toMatchObject({ id: expect.any(String) });
  }
});

test('a payload that fits its topic’s schema is enqueued as it is, and an invalid one is rejected with its path', async () => {
  const schema = valibot.object({
    to: valibot.pipe(valibot.string(), valibot.trim()),
    tags: valibot.array(valibot.string()),
  });
  const { queue, backend } = openTestQueue({ topics: { t: { schema } } });
  closedAfterTest(queue);
  backend.up();
  await queue.enqueue('t', { to: ' ada ', tags: ['a'] });
  expect(backend.applied.get('t')).toEqual(['{"to":" ada ","tags":["a"]}']);
  const violation = { code: 'QUEUE_SCHEMA_VIOLATION', issues: [{ path: 'payload.tags[0]' }] };
  await expect(queue.enqueue('t', { to: 'x', tags: [1] })).rejects.toMatchObject(violation);
  const many = [{ payload: { to: 'x', tags: [] } }, { payload: { to: 'y', tags: [1] } }];
  await expect(queue.enqueueMany('t', many)).rejects.toMatchObject(violation);
  expect(backend.applied.get('t')).toHaveLength(1);
});

test('defined topics are checked at once and frozen, and a handler of them is typed apart from its queue', async () => {
  const topics = defineTopics({ orders: schemas.zod, emails: { schema: schemas.valibot } });
  expect(Object.isFrozen(topics)).toBe(true);
  const { promise: amount, resolve } = Promise.withResolvers<number>();
  const handle: TopicHandler<typeof topics, 'orders'> = ({ payload }) => resolve(payload.amount);
  const check = (): TopicHandler<typeof topics, 'emails'> => {
    // @ts-expect-error -- the output is a number
    return ({ payload }) => void payload.amount.trim();
  };
  expect(check).toBeInstanceOf(Function);
  const queue = closedAfterTest(createQueueOn(createMemoryBackend(), { topics }));
  queue.process('orders', handle);
  await queue.enqueue('orders', { amount: '41' });
  expect(await amount).toBe(41);
  // @ts-expect-error -- the input is text
  await expect(queue.enqueue('emails', { amount: 1 })).rejects.toThrow('payload.amount');
});

test.each<[string, () => unknown, string]>([
  // @ts-expect-error -- no topics
  ['no topics', () => defineTopics(5), 'topics must be an object of topics and their options'],
  // @ts-expect-error -- no options
  ['a topic of no options', () => defineTopics({ emails: null }), 'topics.emails must be'],
  // @ts-expect-error -- no option
  ['an unknown option', () => defineTopics({ emails: { limit: 1 } }), 'topics.emails.limit'],
  ['65 partitions', () => defineTopics({ emails: { partitions: 65 } }), 'but is 65'],
  // @ts-expect-error -- no schema
  ['a schema that is none', () => defineTopics({ emails: { schema: {} } }), 'topics.emails.schema'],
])('defineTopics refuses %s, and names where', (_, define, said) => {
  expect(define).toThrow(said);
});

test('a topic with a schema of results types what its handlers return and what result resolves with', async () => {
  const topics = defineTopics({
    sums: {
      schema: zod.object({ numbers: zod.array(zod.number()) }),
      result: zod.object({ sum: zod.number() }),
    },
    plain: zod.string(),
  });
  const queue = closedAfterTest(createQueueOn(createMemoryBackend(), { topics }));
  const add: TopicHandler<typeof topics, 'sums'> = ({ payload: { numbers } }) => ({
    sum: numbers.reduce((sum, number) => sum + number, 0),
  });
  queue.process('sums', add, { keepResults: true });
  // @ts-expect-error -- the topic's results are objects with a sum
  const wrong: TopicHandler<typeof topics, 'sums'> = () => 'text';
  expect(wrong).toBeInstanceOf(Function);
  const { id } = await queue.enqueue('sums', { numbers: [1, 2, 4] });
  const { sum }: { sum: number } = await queue.result('sums', id);
  expect(sum).toBe(7);
  // @ts-expect-error -- a topic without a schema of results has unknown ones
  const plain: Promise<string> = queue.result('plain', 'none', { timeoutMs: 0 });
  await expect(plain).rejects.toMatchObject({ code: 'QUEUE_RESULT_UNKNOWN' });
});
