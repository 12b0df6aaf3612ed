import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from '@jest/globals';
import { environment, seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { type Stage, openStage } from '@holdfast/stage';
import { catalogScenario } from '../../src/catalog/catalog-scenario.ts';
import type { SmallHeapOptions, SmallHeapReport } from '../../src/catalog/small-heap-main.ts';
import { waitUntil } from '../../src/wait-until.ts';

const SMALL_HEAP_MAIN = join(import.meta.dirname, '../../src/catalog/small-heap-main.ts');
const COMMAND_MAIN = join(import.meta.dirname, '../../../catalog/src/command/main.ts');
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 3);
const HEAP_MB = 128;
const HELD_MB = 64;
const GROWTH_BYTES = 8_388_608;
const SMALL_HEAP_ROWS = 3_000;
const RESTARTS = Number(process.env['HOLDFAST_RUNS'] ?? 5);
const ROWS = 2_000;
const LIVES_MS = 1_500;
const RUN_WITHIN_MS = 150_000;

let stage: Stage<{ esimGo: true; redis: true; postgres: true }>;
let folder = '';
const started: ChildProcess[] = [];

beforeAll(async () => {
  stage = await openStage({
    esimGo: { rows: ROWS, rateLimit: false, maxPerPage: 50, latencyMs: 20 },
    redis: true,
    postgres: true,
  });
});
afterAll(() => stage.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-catalog-processes-'));
});
afterEach(async () => {
  for (const child of started.splice(0)) await kill(child);
  await rm(folder, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Starts `catalog serve`, and resolves with its address when it listens. */
async function serve(): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [COMMAND_MAIN, 'serve', '--port', '0'], {
    env: {
      ...environment,
      ESIM_GO_API_KEY: stage.esimGo.apiKey,
      ESIM_GO_API_URL: `${stage.esimGo.url}/v2.5`,
      CATALOG_REDIS_URL: stage.redis.url,
      CATALOG_DATABASE_URL: stage.postgres.primary.url,
      CATALOG_DIRECTORY: folder,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  for await (const line of lines) {
    const url = /http:\S+/.exec(line)?.[0];
    if (url === undefined) continue;
    child.stdout?.resume();
    return { child, url };
  }
  throw new Error('catalog serve ended before it listened');
}

interface Page {
  readonly total: number;
  readonly origin: { readonly generation: number };
}

async function search(url: string): Promise<Page | undefined> {
  const response = await fetch(`${url}/bundles?limit=1`).catch(() => undefined);
  if (response?.ok !== true) return undefined;
  // The service is ours, and so is what it answers.
  return JSON.parse(await response.text());
}

describe('Chaos Engineering Tests', () => {
  catalogScenario(
    'catalog-chaos',
    () => 'local',
    {
      promise: 'should recover from memory exhaustion',
      fault: `a heap of ${HEAP_MB} MB, of which other work holds ${HELD_MB} MB, over two syncs`,
    },
    async () => {
      const options: SmallHeapOptions = {
        directory: folder,
        rows: SMALL_HEAP_ROWS,
        syncs: 3,
        heldBytes: HELD_MB * 1_000_000,
      };
      const flags = [`--max-old-space-size=${HEAP_MB}`, '--expose-gc'];
      const args = [...flags, SMALL_HEAP_MAIN, JSON.stringify(options)];
      const { stdout } = await promisify(execFile)(process.execPath, args, {
        timeout: RUN_WITHIN_MS,
      });
      const report: SmallHeapReport = JSON.parse(stdout);
      expect(report).toMatchObject({ rows: SMALL_HEAP_ROWS, generation: 3, failures: 0 });
      expect(report.searches).toBeGreaterThan(100);
      expect(report.lastBytes - report.firstBytes).toBeLessThan(GROWTH_BYTES);
      const mebibytes = (bytes: number): string => (bytes / 1_048_576).toFixed(1);
      const note = `${mebibytes(report.firstBytes)} MiB used after the first sync, ${mebibytes(report.lastBytes)} at the end`;
      return { accepted: report.searches, delivered: report.searches - report.failures, note };
    },
  );

  catalogScenario(
    'catalog-chaos',
    () => stage.mode,
    {
      promise: 'should handle process restarts gracefully',
      fault: `${RESTARTS} times kill -9 of the service within ${LIVES_MS} ms, while it syncs, and started again`,
    },
    async () => {
      const random = seededRandom(SEED);
      let [generation, answers, slowestMs] = [0, 0, 0];
      for (let life = 0; life <= RESTARTS; life += 1) {
        const { child, url } = await serve();
        const fromMs = systemClock.now();
        let page: Page | undefined;
        await waitUntil(async () => (page = await search(url)) !== undefined);
        if (life > 0) slowestMs = Math.max(slowestMs, systemClock.now() - fromMs);
        expect(page).toMatchObject({ total: ROWS });
        expect(page?.origin.generation).toBeGreaterThanOrEqual(generation);
        generation = page?.origin.generation ?? 0;
        answers += 1;
        await stage.esimGo.change({ revision: life + 1 });
        await sleep(systemClock, random() * LIVES_MS);
        await kill(child);
      }
      const note = `the first answer ${Math.round(slowestMs)} ms after it listened, at most`;
      return { accepted: answers, delivered: answers, seed: SEED, note };
    },
  );
});
