import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  BatchOrchestrator,
  type BatchOrchestratorOptions,
  StateBatchExtractor,
  type StateEndpoints,
  enqueueTasks,
  legislativeLayers,
  workTasks,
} from '@holdfast/atlas';
import { type PortalServer, createPortalServer, portalStates } from '@holdfast/emulators/atlas';
import { seededRandom } from '@holdfast/foundation';
import { createQueueAdapter } from '@holdfast/queue';
import { openStage } from '@holdfast/stage';
import { waitUntil } from '../../src/wait-until.ts';

const SEED = 20;
const DISTRICTS = 40;
const MINUTE_MS = 60_000;
const tasks = portalStates.flatMap((state) => legislativeLayers.map((layer) => ({ state, layer })));

let directory: string;
let portal: PortalServer;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hf-atlas-'));
  portal = await createPortalServer({
    faultRate: 0.3,
    seed: SEED,
    districts: DISTRICTS,
    maxRecordCount: 15,
    retryAfterS: 0,
  });
});
afterEach(async () => {
  await portal.close();
  await rm(directory, { recursive: true });
});

function open(options: BatchOrchestratorOptions = {}): BatchOrchestrator {
  const endpoints: Record<string, StateEndpoints> = {};
  for (const state of portalStates) {
    endpoints[state] = Object.fromEntries(
      legislativeLayers.map((layer) => [layer, portal.endpoint(state, layer)]),
    );
  }
  const quick = { initialDelayMs: 1, maxDelayMs: 20 };
  const circuitBreaker = { failureThreshold: 5, openDurationMs: 20 };
  const extractor = new StateBatchExtractor({
    endpoints,
    retry: quick,
    circuitBreaker,
    random: seededRandom(SEED),
    timeoutMs: 5_000,
  });
  return new BatchOrchestrator({
    extractor,
    directory,
    retry: quick,
    circuitBreaker,
    maxPasses: 20,
    random: seededRandom(SEED),
    ...options,
  });
}

/** Every layer has every feature once. */
async function expectWhole(): Promise<void> {
  const names = await readdir(directory);
  expect(names.toSorted()).toEqual(
    tasks.map(({ state, layer }) => `${state}-${layer}.geojson`).toSorted(),
  );
  const wanted = Array.from({ length: DISTRICTS }, (_, at) => at + 1);
  for (const name of names) {
    const { features }: { features: { id: number }[] } = JSON.parse(
      await readFile(join(directory, name), 'utf8'),
    );
    expect(features.map(({ id }) => id)).toEqual(wanted);
  }
}

test(
  '50 states and 3 layers are extracted through 30 % of faults, every feature once',
  async () => {
    const report = await open().run(tasks);
    expect(report).toMatchObject({ extracted: 150, failed: 0, isComplete: true });
    expect(report.features).toBe(150 * DISTRICTS);
    await expectWhole();
    const { requests, injected } = portal.getStats();
    const faults = Object.values(injected).reduce((sum, count) => sum + count, 0);
    expect(Object.keys(injected).toSorted()).toEqual([
      'error-document',
      'html',
      'reset',
      'throttled',
      'truncated',
      'unavailable',
    ]);
    expect(faults / requests).toBeGreaterThan(0.2);
  },
  MINUTE_MS,
);

test(
  'a batch that is stopped half-way is completed by the next one, which asks for nothing twice',
  async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const first = open({
      onProgress: ({ extracted }) => {
        if (extracted === 40) stop.abort(reason);
      },
    });
    await expect(first.run(tasks, { signal: stop.signal })).rejects.toBe(reason);
    const kept = (await readdir(directory)).filter((name) => name.endsWith('.geojson')).length;
    expect(kept).toBeGreaterThanOrEqual(40);
    const report = await open().run(tasks);
    // A layer that was being written when the batch was stopped may be there as well.
    expect(report.stored).toBeGreaterThanOrEqual(kept);
    expect(report).toMatchObject({ extracted: 150 - report.stored, failed: 0 });
    await expectWhole();
  },
  MINUTE_MS,
);

test(
  'several workers share a batch through a queue, and each layer is stored once',
  async () => {
    const stage = await openStage({ redis: true });
    const queues = [0, 1, 2].map(() => createQueueAdapter({ redis: { url: stage.redis.url } }));
    try {
      const [producer, ...others] = queues;
      if (producer === undefined) throw new Error('no queue');
      expect(await enqueueTasks(producer, tasks, { batch: 'first' })).toBe(150);
      // Of the same batch a task is queued once, however often it is started.
      await enqueueTasks(producer, tasks, { batch: 'first' });
      const retried = { maxAttempts: 10, retryDelayMs: 10 };
      const workers = others.map((queue) => workTasks(queue, open(), retried));
      await waitUntil(
        () => workers.reduce((sum, worker) => sum + worker.getStats().handled, 0) === 150,
        40_000,
      );
      await expectWhole();
      expect(workers.every((worker) => worker.getStats().handled > 0)).toBe(true);
      for (const worker of workers) await worker.close();
    } finally {
      await Promise.all(queues.map((queue) => queue.close()));
      await stage.close();
    }
  },
  MINUTE_MS,
);
