import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { propertyOf } from '@holdfast/foundation';
import type { DurableRunner, RunFunctions } from '@holdfast/operations';
import { type DbosRunnerOptions, createDbosRunner } from '@holdfast/operations/dbos';
import { honoursDurableContract } from '@holdfast/operations/durable-contract';
import { STAGE_OPEN_TIMEOUT_MS, type Stage, openStage } from '@holdfast/stage';

let toClose: DurableRunner[] = [];
afterEach(async () => {
  for (const runner of toClose) await runner.close();
  toClose = [];
});

async function opened(options: DbosRunnerOptions<RunFunctions>): Promise<DurableRunner> {
  const runner = await createDbosRunner(options);
  toClose.push(runner);
  return runner;
}

let stage: Stage<{ postgres: true }>;

beforeAll(async () => {
  stage = await openStage({ postgres: true });
}, STAGE_OPEN_TIMEOUT_MS);

afterAll(async () => stage.close());

describe('a runner on DBOS', () => {
  const urls = new Map<string | undefined, string>();
  honoursDurableContract(async (functions) => {
    const { currentTestName } = expect.getState();
    const databaseUrl = urls.get(currentTestName) ?? (await stage.postgres.createDatabase()).url;
    urls.set(currentTestName, databaseUrl);
    return createDbosRunner({ functions, databaseUrl, pollMs: 20, leaseMs: 2_000 });
  });
});

test('a run that makes no progress is taken from its process, however alive that is', async () => {
  const databaseUrl = (await stage.postgres.createDatabase()).url;
  const fences: bigint[] = [];
  const runner = await opened({
    functions: {
      stuck: async (context) =>
        context.step('once', async ({ fence }) => {
          fences.push(fence);
          // It heeds nothing the first time.
          return fences.length === 1 ? new Promise<string>(() => {}) : 'done';
        }),
    },
    databaseUrl,
    pollMs: 20,
    leaseMs: 400,
    progressTimeoutMs: 1_000,
  });
  await runner.start('stuck', null, { runId: 'stuck' });
  expect(await runner.result('stuck')).toBe('done');
  expect(fences).toHaveLength(2);
  expect(fences[1]).toBeGreaterThan(fences[0] ?? 0n);
});

test('a run goes on after an outage of its database, and does no finished step again', async () => {
  const databaseUrl = (await stage.postgres.createDatabase()).url;
  const calls: string[] = [];
  const runner = await opened({
    functions: {
      outlasts: async (context) => {
        await context.step('before', async () => calls.push('before'));
        await context.step('during', async () => {
          calls.push('during');
          await stage.postgres.primary.kill();
          await stage.postgres.primary.start();
          return null;
        });
        return context.step('after', async () => calls.push('after'));
      },
    },
    databaseUrl,
    pollMs: 20,
    leaseMs: 20_000,
  });
  await runner.start('outlasts', null, { runId: 'outlasts' });
  const { promise, resolve } = Promise.withResolvers<number>();
  const ask = async (): Promise<void> => {
    try {
      resolve(Number(await runner.result('outlasts')));
    } catch (error) {
      // The database is away; the answer to the run itself is another.
      if (propertyOf(error, 'code') === 'DURABLE_RUN_FAILED') throw error;
      await ask();
    }
  };
  await ask();
  expect(await promise).toBe(3);
  expect(calls).toEqual(['before', 'during', 'after']);
});

test('a second runner in one process is refused', async () => {
  const databaseUrl = (await stage.postgres.createDatabase()).url;
  const options = { functions: {}, databaseUrl };
  const runner = await opened(options);
  await expect(createDbosRunner(options)).rejects.toMatchObject({ code: 'DURABLE_RUNNER_EXISTS' });
  expect(await runner.list()).toEqual([]);
});
