import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createToxiproxyServer } from '@holdfast/faults';
import { createQueueAdapter } from '@holdfast/queue';
import { STAGE_OPEN_TIMEOUT_MS, type Stage, openStage } from '@holdfast/stage';
import { createClient } from '@supabase/supabase-js';
import { type ExampleFixture, openExamples } from '../../src/examples/example.ts';
import { type PageColumn, comparisonsOf, runBlock } from '../../src/examples/page-blocks.ts';

const options = {
  redis: { settings: { appendonly: 'yes' } },
  postgres: true,
  supabase: true,
  upstream: true,
} as const;
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

const columns: readonly PageColumn[] = ['peer', 'holdfast'];

async function codeOf(page: string, heading: string, column: PageColumn): Promise<string> {
  const found = (await comparisonsOf(page)).find((one) => one.heading === heading);
  if (found === undefined) throw new Error(`${page} has no comparison under '${heading}'`);
  return found.code[column];
}

/** Runs a block to its end. @returns the lines that it has printed */
async function linesOf(
  page: string,
  heading: string,
  column: PageColumn,
  env: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const program = await runBlock(fixture, await codeOf(page, heading, column), env);
  expect(await program.ended()).toBe(0);
  return program.lines;
}

/** Runs both columns at the same time. */
function linesOfBoth(
  page: string,
  heading: string,
  env: Readonly<Record<string, string>>,
): Promise<(readonly string[])[]> {
  return Promise.all(columns.map((column) => linesOf(page, heading, column, env)));
}

test('every comparison of the pages is run by a test here', async () => {
  const pages = {
    'from-bullmq.md': [
      'Add and handle a job',
      'Attempts, and what is left of a job that fails',
      'Later, and only once',
      'Redis is down',
    ],
    'from-pg-pool.md': ['One import', 'Postgres is being restarted', 'A transaction'],
    'from-supabase-storage.md': ['Write and read', 'Supabase answers 503'],
    'from-cockatiel-and-opossum.md': [
      'Retry, circuit breaker and timeout around one call',
      'A circuit breaker alone',
    ],
    'from-testcontainers-and-toxiproxy.md': [
      'Start a server, and stop it amid a test',
      'Break the way to it',
    ],
  };
  for (const [page, headings] of Object.entries(pages)) {
    expect((await comparisonsOf(page)).map(({ heading }) => heading)).toEqual(headings);
  }
});

describe('from BullMQ', () => {
  const page = 'from-bullmq.md';

  test.each([
    ['Add and handle a job', 'handled ada', 'handled ada'],
    ['Attempts, and what is left of a job that fails', 'dead no paper', 'dead Error: no paper'],
    ['Later, and only once', 'delayed 1', 'delayed 1'],
  ])('%s', async (heading, ...lines) => {
    const env = { REDIS_URL: stage.redis.url };
    expect(await linesOfBoth(page, heading, env)).toEqual(lines.map((line) => [line]));
  });

  test('while Redis is down BullMQ waits with a job, and the journal accepts it, which its next owner delivers', async () => {
    await stage.redis.kill();
    const env = { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: await fixture.directory() };
    expect(await linesOfBoth(page, 'Redis is down', env)).toEqual([
      ['still waiting'],
      ['accepted journal'],
    ]);
    await stage.redis.start();
    const queue = createQueueAdapter({
      redis: { url: stage.redis.url },
      fallback: { journal: { directory: env.JOBS_DIRECTORY } },
    });
    const payload = await new Promise((resolve) => {
      queue.process('orders', (job) => resolve(job.payload));
    });
    await queue.close();
    expect(payload).toEqual({ customer: 'ada' });
  });
});

describe('from pg.Pool', () => {
  const page = 'from-pg-pool.md';

  test('a query and a transaction give the same in both columns', async () => {
    const env = { DATABASE_URL: stage.postgres.primary.url };
    const [query, transaction] = await Promise.all([
      linesOfBoth(page, 'One import', env),
      linesOfBoth(page, 'A transaction', env),
    ]);
    expect(query).toEqual([['answered 7'], ['answered 7']]);
    expect(transaction).toEqual([['committed 42'], ['committed 42']]);
  });

  test('while Postgres is away a query of pg fails, and one of Holdfast waits until it is back', async () => {
    const { primary } = stage.postgres;
    const env = { DATABASE_URL: primary.url };
    const heading = 'Postgres is being restarted';
    await primary.kill();
    const failed = await linesOf(page, heading, 'peer', env);
    expect(failed[1]).toMatch(/^failed /);
    const program = await runBlock(fixture, await codeOf(page, heading, 'holdfast'), env);
    await program.line(/^asking/);
    await primary.start();
    expect(await program.ended()).toBe(0);
    expect(program.lines).toEqual(['asking', 'answered 7']);
  });
});

describe('from supabase.storage', () => {
  const page = 'from-supabase-storage.md';
  const envOf = () => ({
    SUPABASE_URL: stage.supabase.url,
    SUPABASE_KEY: stage.supabase.serviceRoleKey,
  });

  test('both columns write and read the same object, by the same lines', async () => {
    const client = createClient(stage.supabase.url, stage.supabase.serviceRoleKey);
    await client.storage.createBucket('avatars');
    const codes = await Promise.all(
      columns.map((column) => codeOf(page, 'Write and read', column)),
    );
    const shared = codes.map((code) =>
      code.slice(code.indexOf("from('avatars')"), code.indexOf('console.log')),
    );
    expect(new Set(shared).size).toBe(1);
    expect(await linesOfBoth(page, 'Write and read', envOf())).toEqual([
      ['null bytes'],
      ['null bytes'],
    ]);
  });

  test('while Supabase answers 503 supabase-js refuses a write, and Holdfast accepts it', async () => {
    await stage.supabase.setFaults({
      faults: [{ fault: { kind: 'error', status: 503, code: 'ServiceUnavailable' } }],
    });
    const heading = 'Supabase answers 503';
    expect(await linesOfBoth(page, heading, envOf())).toEqual([['refused'], ['accepted']]);
    await stage.supabase.setFaults({});
  });
});

describe('from cockatiel and opossum', () => {
  const page = 'from-cockatiel-and-opossum.md';

  test.each(columns)('%s: two failures are retried', async (column) => {
    await stage.upstream.script([
      { path: '/layers', body: 'layers', first: [{ status: 503, times: 2 }] },
    ]);
    const env = { API_URL: stage.upstream.url };
    const heading = 'Retry, circuit breaker and timeout around one call';
    expect(await linesOf(page, heading, column, env)).toEqual(['answered layers']);
  });

  test('a circuit opens after three failures in both columns', async () => {
    await stage.upstream.script([{ path: '/down', status: 503 }]);
    const env = { API_URL: stage.upstream.url };
    expect(await linesOfBoth(page, 'A circuit breaker alone', env)).toEqual([
      ['open EOPENBREAKER'],
      ['open RESILIENCE_CIRCUIT_OPEN'],
    ]);
  });
});

describe('from Testcontainers and Toxiproxy', () => {
  const page = 'from-testcontainers-and-toxiproxy.md';

  test('both columns delay the replies of Redis', async () => {
    const toxiproxy = await createToxiproxyServer({ port: 0, seed: 1 });
    const env = {
      TOXIPROXY_URL: toxiproxy.url,
      REDIS_PORT: String(stage.redis.direct.port),
      HOLDFAST_STAGE: stage.mode,
    };
    expect(await linesOfBoth(page, 'Break the way to it', env)).toEqual([
      ['late true'],
      ['late true'],
    ]);
    await toxiproxy.close();
  });

  test('the stage starts, kills and starts a Redis', async () => {
    const env = { HOLDFAST_STAGE: stage.mode };
    const heading = 'Start a server, and stop it amid a test';
    expect(await linesOf(page, heading, 'holdfast', env)).toEqual(['PONG', 'PONG']);
  });
});
