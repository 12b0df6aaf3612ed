import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createQueueAdapter } from '@holdfast/queue';
import { STAGE_OPEN_TIMEOUT_MS, type Stage, openStage } from '@holdfast/stage';
import { EXAMPLES, type ExampleFixture, openExamples } from '../../src/examples/example.ts';
import { postOrder, unhandledByLines } from '../../src/examples/orders.ts';
import { waitUntil } from '../../src/wait-until.ts';

const options = { redis: { settings: { appendonly: 'yes', appendfsync: 'always' } } } as const;
let stage: Stage<typeof options>;
let fixture: ExampleFixture;

beforeAll(async () => {
  stage = await openStage(options);
  fixture = openExamples();
}, STAGE_OPEN_TIMEOUT_MS);

afterAll(async () => {
  await fixture.close();
  await stage.close();
});

test('a worker survives a kill of Redis amid a handler, ends it at SIGTERM, and leaves the rest to the next worker', async () => {
  const queue = createQueueAdapter({ redis: { url: stage.redis.url } });
  const worker = {
    folder: join(EXAMPLES, 'worker'),
    entry: 'worker.ts',
    env: { REDIS_URL: stage.redis.url },
  };
  const first = fixture.start(worker);
  await first.line(/^ready/);
  const running = await queue.enqueue('reports', { steps: 6 });
  await first.line(new RegExp(`^started ${running.id} 1`));
  await stage.redis.kill();
  await stage.redis.start();
  await first.line(new RegExp(`^handled ${running.id}`));

  // Four handlers run at a time: of eight jobs some are not started when it ends.
  const jobs = await queue.enqueueMany(
    'reports',
    Array.from({ length: 8 }, () => ({ payload: { steps: 6 } })),
  );
  await waitUntil(() => first.lines.filter((line) => line.startsWith('started')).length > 4);
  expect(await first.stop()).toBe(0);
  const started = first.lines.filter((line) => line.startsWith('started')).length;
  expect(first.lines.filter((line) => line.startsWith('handled'))).toHaveLength(started);

  const second = fixture.start(worker);
  await waitUntil(
    () =>
      unhandledByLines(
        jobs.map(({ id }) => id),
        [first, second],
      ).length === 0,
  );
  expect(await second.stop()).toBe(0);
  // No job ran twice: the first one has acknowledged what it had handled.
  const handled = [...first.lines, ...second.lines].filter((line) => line.startsWith('handled'));
  expect(new Set(handled).size).toBe(handled.length);
  await queue.close();
});

test('a cluster whose worker is killed while Redis is down gives the jobs in its journal to its successor', async () => {
  const cluster = fixture.start({
    folder: join(EXAMPLES, 'cluster'),
    entry: 'server.ts',
    env: { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: await fixture.directory() },
  });
  const [first] = await Promise.all(
    [/^listening 0/, /^listening 1/].map((pattern) => cluster.line(pattern)),
  );
  const url = `http://127.0.0.1:${/(\d+)\D*$/.exec(first ?? '')?.[1]}`;
  await stage.redis.kill();
  const orders = await Promise.all(Array.from({ length: 10 }, () => postOrder(url)));
  expect(new Set(orders.map(({ accepted }) => accepted))).toEqual(new Set(['journal']));

  const pid = Number(/^listening 0 pid (\d+)/.exec(first ?? '')?.[1]);
  process.kill(pid, 'SIGKILL');
  const isSuccessor = (line: string): boolean =>
    line.startsWith('listening 0') && !line.includes(`pid ${pid} `);
  await waitUntil(() => cluster.lines.some(isSuccessor));
  await stage.redis.start();
  const ids = orders.map(({ id }) => id);
  await waitUntil(() => unhandledByLines(ids, [cluster]).length === 0);
  expect(await cluster.stop()).toBe(0);
});

test('a Lambda that was frozen while its connections died delivers the next job, and says 503 where it cannot', async () => {
  const lambda = fixture.start({
    folder: join(EXAMPLES, 'lambda'),
    entry: 'local.mjs',
    env: { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: await fixture.directory(), WAIT_MS: '200' },
  });
  await lambda.line(/^ready/);
  let calls = 0;
  const invoke = async (orderId: string): Promise<number> => {
    lambda.write(JSON.stringify({ orderId, order: {} }));
    calls += 1;
    const responses = (): string[] => lambda.lines.filter((line) => line.startsWith('response'));
    await waitUntil(() => responses().length === calls);
    return JSON.parse((responses().at(-1) ?? '').slice('response '.length)).statusCode;
  };
  expect(await invoke('first')).toBe(202);

  lambda.signal('SIGSTOP');
  await stage.redis.kill();
  await stage.redis.start();
  lambda.signal('SIGCONT');
  expect(await invoke('second')).toBe(202);

  await stage.redis.kill();
  expect(await invoke('third')).toBe(503);
  lambda.signal('SIGSTOP');
  await stage.redis.start();
  lambda.signal('SIGCONT');
  // The caller calls again, as the 503 asked for.
  await waitUntil(async () => (await invoke('third')) === 202);

  const ids: string[] = [];
  const queue = createQueueAdapter({ redis: { url: stage.redis.url } });
  queue.process('orders', ({ id }) => void ids.push(id));
  await waitUntil(() => ids.length === 3);
  await queue.close();
  expect(ids.toSorted()).toEqual(['first', 'second', 'third']);
});
