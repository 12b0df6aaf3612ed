import { execFile } from 'node:child_process';
import { cp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS, type Stage, openStage } from '@holdfast/stage';
import { Client } from 'pg';
import {
  EXAMPLES,
  type Example,
  type ExampleFixture,
  openExamples,
} from '../../src/examples/example.ts';
import { type OrdersResult, runOrders, unhandledByLines } from '../../src/examples/orders.ts';

const options = {
  redis: { settings: { appendonly: 'yes', appendfsync: 'always' } },
  postgres: true,
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

/** @param exit how both processes ended. */
const orderly = (exit: number | NodeJS.Signals): Partial<OrdersResult> => ({
  acceptedBy: Array.from({ length: 5 }, () => 'journal'),
  readiness: { during: 200 },
  exits: [exit, exit],
});

test('Express accepts orders while Redis is down, loses none at SIGTERM, and stores each once', async () => {
  const DATABASE_URL = stage.postgres.primary.url;
  const client = new Client(DATABASE_URL);
  await client.connect();
  const stored = async (): Promise<string[]> =>
    (await client.query<{ id: string }>('select id from orders')).rows.map(({ id }) => id);
  const result = await runOrders(
    fixture,
    stage.redis,
    {
      folder: join(EXAMPLES, 'express'),
      entry: 'server.ts',
      env: { DATABASE_URL, REDIS_URL: stage.redis.url, JOBS_DIRECTORY: await fixture.directory() },
    },
    async (ids) => {
      const found = new Set(await stored());
      return ids.filter((id) => !found.has(id));
    },
  );
  await client.end();
  expect(result).toMatchObject(orderly(0));
});

test('Fastify accepts orders while Redis is down, and loses none at SIGTERM', async () => {
  const result = await runOrders(
    fixture,
    stage.redis,
    {
      folder: join(EXAMPLES, 'fastify'),
      entry: 'server.ts',
      env: { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: await fixture.directory() },
    },
    unhandledByLines,
  );
  expect(result).toMatchObject(orderly(0));
});

test('NestJS accepts orders while Redis is down, and loses none at SIGTERM', async () => {
  // A copy, because it is compiled first: its decorators are not types that Node can strip.
  const folder = await fixture.directory();
  await cp(join(EXAMPLES, 'nestjs'), folder, {
    recursive: true,
    filter: (path) => !/(?:node_modules|dist)$/.test(path),
  });
  await symlink(join(EXAMPLES, 'nestjs/node_modules'), join(folder, 'node_modules'));
  const compiler = join(EXAMPLES, 'nestjs/node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [compiler, '--noCheck', '--noResolve'], {
    cwd: folder,
  });
  let services: readonly Example[] = [];
  const result = await runOrders(
    fixture,
    stage.redis,
    {
      folder,
      entry: 'dist/main.js',
      env: { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: await fixture.directory() },
    },
    (ids, examples) => {
      services = examples;
      return unhandledByLines(ids, examples);
    },
  );
  const closed = services.filter(({ lines }) => lines.includes('closed')).length;
  // NestJS ends the process by the same signal, after its hooks.
  expect(result).toMatchObject(orderly('SIGTERM'));
  expect(closed).toBe(2);
});
