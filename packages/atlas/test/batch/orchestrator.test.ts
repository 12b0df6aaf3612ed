import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  BatchOrchestrator,
  type BatchOrchestratorOptions,
  type BatchProgress,
  type ExtractionTask,
  type LayerResult,
  PortalResponseError,
  createProgressBar,
  formatProgress,
  legislativeLayers,
} from '@holdfast/atlas';
import { createChaosFaultInjector } from '@holdfast/faults';
import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { polygon, square } from '../districts.ts';

let clock: FakeClock;
beforeEach(() => {
  clock = createFakeClock();
});
const open = (options: BatchOrchestratorOptions = {}): BatchOrchestrator =>
  new BatchOrchestrator({ clock, random: seededRandom(3), ...options });
const good = async (): Promise<LayerResult> => ({ success: true, featureCount: 100 });
const tasksOf = (states: readonly string[]): ExtractionTask[] =>
  states.flatMap((state) => legislativeLayers.map((layer) => ({ state, layer })));

test('the orchestrator retries a transient failure', async () => {
  const orchestrator = open();
  let attempts = 0;
  orchestrator['extractor'].extractLayer = async () => {
    attempts++;
    if (attempts === 1) {
      throw new Error('ETIMEDOUT');
    }
    return { success: true, featureCount: 100 };
  };
  const result = await clock.settle(orchestrator.executeTask('WI', 'congressional'));
  expect(attempts).toBe(2);
  expect(result).toEqual({ success: true, featureCount: 100 });
});

test('the circuit opens after repeated failures, and the tasks end without a result', async () => {
  const orchestrator = open();
  let attempts = 0;
  orchestrator['extractor'].extractLayer = async () => {
    attempts++;
    throw new Error('Service down');
  };
  for (let i = 0; i < 5; i++) {
    expect(await clock.settle(orchestrator.executeTask('WI', 'congressional'))).toBeNull();
  }
  expect(orchestrator.resilience.getHealthState().level).not.toBe('healthy');
  expect(attempts).toBe(5);
});

test('a state whose portal fails leaves the others alone', async () => {
  const orchestrator = open({ maxPasses: 1 });
  orchestrator.extractor.extractLayer = async (state) => {
    if (state === 'WI') throw new PortalResponseError('https://wi.example', 503);
    return good();
  };
  const report = await clock.settle(orchestrator.run(tasksOf(['WI', 'MN', 'IA'])));
  expect(report).toMatchObject({ extracted: 6, failed: 3, features: 600, isComplete: false });
  const failed = report.outcomes.filter(({ kind }) => kind === 'failed');
  expect(new Set(failed.map(({ state }) => state))).toEqual(new Set(['WI']));
});

test('a batch survives a network that fails half of the time', async () => {
  const chaos = createChaosFaultInjector(true, { seed: 42, clock });
  const orchestrator = open({ chaos });
  orchestrator.extractor.extractLayer = good;
  chaos.configureFault('network_failure', {
    enabled: true,
    probability: 0.5,
    errorMessage: 'ECONNREFUSED',
  });
  const results = await clock.settle(
    Promise.allSettled(
      Array(100)
        .fill(0)
        .map(() => orchestrator.extractState('WI')),
    ),
  );
  const succeeded = results.filter(
    (result) => result.status === 'fulfilled' && result.value.isComplete,
  );
  expect(succeeded.length).toBeGreaterThan(80);
  const states = Array.from({ length: 34 }, (_, at) => `S${at}`);
  const batch = await clock.settle(orchestrator.run(tasksOf(states)));
  expect(batch.extracted).toBeGreaterThan(80);
  expect(chaos.getStats().injected.network_failure).toBeGreaterThan(60);
});

test('without the chaos no fault is injected, and with it disabled neither', async () => {
  const chaos = createChaosFaultInjector(false, { seed: 42 });
  chaos.configureFault('network_failure', { enabled: true, probability: 1 });
  const orchestrator = open({ chaos });
  orchestrator.extractor.extractLayer = good;
  expect((await clock.settle(orchestrator.extractState('WI'))).isComplete).toBe(true);
});

test('concurrent calls for a state share one extraction of each of its layers', async () => {
  let calls = 0;
  const orchestrator = open();
  orchestrator.extractor.extractLayer = async () => {
    calls += 1;
    return good();
  };
  const reports = await clock.settle(
    Promise.all(Array.from({ length: 20 }, () => orchestrator.extractState('WI'))),
  );
  expect(calls).toBe(3);
  expect(reports.every(({ features }) => features === 300)).toBe(true);
});

test('no more tasks run at a time than the bulkhead has slots, and none is refused', async () => {
  let running = 0;
  let most = 0;
  const orchestrator = open({ bulkhead: { maxConcurrent: 4 } });
  orchestrator.extractor.extractLayer = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => void clock.schedule(10, () => resolve(undefined)));
    running -= 1;
    return good();
  };
  const report = await clock.settle(orchestrator.run(tasksOf(['WI', 'MN', 'IA', 'IL'])));
  expect(most).toBe(4);
  expect(report.isComplete).toBe(true);
  expect(orchestrator.resilience.getStats().bulkhead?.rejectedCount).toBe(0);
});

test('the batch comes back to a task when its circuit permits, and gives up after its last pass', async () => {
  const startMs = clock.now();
  const downMs = 150_000;
  const orchestrator = open();
  orchestrator.extractor.extractLayer = async () => {
    if (clock.now() - startMs < downMs) throw new PortalResponseError('https://wi.example', 503);
    return good();
  };
  const [outcome] = (
    await clock.settle(orchestrator.run([{ state: 'WI', layer: 'congressional' }]))
  ).outcomes;
  expect(outcome).toMatchObject({ kind: 'extracted' });
  expect(outcome?.passes).toBeGreaterThan(2);
  const refused = open({ maxPasses: 3 });
  let calls = 0;
  refused.extractor.extractLayer = async () => {
    calls += 1;
    throw new PortalResponseError('https://wi.example', 404);
  };
  const { outcomes } = await clock.settle(refused.extractState('WI'));
  expect(outcomes.map(({ kind, passes }) => [kind, passes])).toEqual([
    ['failed', 1],
    ['failed', 1],
    ['failed', 1],
  ]);
  expect(calls).toBe(3);
});

test('an abort ends the batch at once, with its own reason', async () => {
  const stop = new AbortController();
  const orchestrator = open();
  orchestrator.extractor.extractLayer = () => new Promise(() => {});
  const running = orchestrator.run(tasksOf(['WI', 'MN', 'IA']), { signal: stop.signal });
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(running).rejects.toBe(reason);
});

test('the progress counts every task once, and a callback that throws is no failure', async () => {
  const seen: BatchProgress[] = [];
  const orchestrator = open({
    onProgress(progress) {
      seen.push(progress);
      throw new Error('of the bar');
    },
  });
  orchestrator.extractor.extractLayer = good;
  const report = await clock.settle(orchestrator.run(tasksOf(['WI', 'MN'])));
  expect(report.isComplete).toBe(true);
  expect(seen.map(({ extracted }) => extracted)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(seen.at(-1)).toEqual({ total: 6, extracted: 6, failed: 0, features: 600 });
});

test('the bar shows what is done, and on no terminal only each tenth', () => {
  expect(formatProgress({ total: 150, extracted: 73, failed: 2, features: 4_500 })).toBe(
    '[##########----------] 75/150 50 %, 4,500 features, 2 failed',
  );
  const lines: string[] = [];
  const bar = createProgressBar({ write: (text) => lines.push(text) });
  for (let extracted = 0; extracted <= 150; extracted += 1) {
    bar({ total: 150, extracted, failed: 0, features: 0 });
  }
  expect(lines).toHaveLength(11);
  const drawn: string[] = [];
  const terminal = createProgressBar({ write: (text) => drawn.push(text), isTTY: true });
  terminal({ total: 2, extracted: 1, failed: 0, features: 9 });
  terminal({ total: 2, extracted: 2, failed: 0, features: 18 });
  expect(drawn[0]).toMatch(/^\r\S*\[#{10}-{10}\] 1\/2 50 %/);
  expect(drawn[1]).toMatch(/\n$/);
});

let directory: string | undefined;
afterEach(async () => {
  if (directory !== undefined) await rm(directory, { recursive: true });
  directory = undefined;
});

test('a batch that was interrupted goes on where it was: what is stored is not extracted again', async () => {
  directory = await mkdtemp(join(tmpdir(), 'hf-atlas-'));
  const extracted: string[] = [];
  const run = async (failing: ReadonlySet<string>): Promise<readonly string[]> => {
    const orchestrator = open({ ...(directory === undefined ? {} : { directory }), maxPasses: 1 });
    orchestrator.extractor.extractLayer = async (state, layer) => {
      if (failing.has(state)) throw new PortalResponseError('https://x.example', 404);
      extracted.push(`${state}-${layer}`);
      return { success: true, featureCount: 1, features: [polygon(1, square(0, 0, 1))] };
    };
    const report = await clock.settle(orchestrator.run(tasksOf(['WI', 'MN'])));
    return report.outcomes.map(({ kind }) => kind);
  };
  expect(await run(new Set(['MN']))).toEqual([
    ...Array(3).fill('extracted'),
    ...Array(3).fill('failed'),
  ]);
  expect(await readdir(directory)).toHaveLength(3);
  // A file that was cut, and one that another program has damaged, are extracted again.
  await truncate(join(directory, 'WI-congressional.geojson'), 20);
  await writeFile(
    join(directory, 'WI-state_house.geojson'),
    JSON.stringify({ success: true, featureCount: 2, features: [] }),
  );
  extracted.length = 0;
  expect(await run(new Set())).toEqual([
    'extracted',
    'stored',
    'extracted',
    ...Array(3).fill('extracted'),
  ]);
  expect(extracted).toHaveLength(5);
  expect(await run(new Set())).toEqual(Array(6).fill('stored'));
});

test('a layer that cannot be stored ends the batch with the error of the system', async () => {
  directory = await mkdtemp(join(tmpdir(), 'hf-atlas-'));
  const file = join(directory, 'a-file');
  await writeFile(file, '');
  const orchestrator = open({ directory: join(file, 'below') });
  orchestrator.extractor.extractLayer = good;
  await expect(clock.settle(orchestrator.run(tasksOf(['WI'])))).rejects.toMatchObject({
    code: 'ENOTDIR',
  });
});
