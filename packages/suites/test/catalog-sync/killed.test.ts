import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Bundle, createBackup } from '@holdfast/catalog';
import { type EsimGoServer, createEsimGoServer } from '@holdfast/emulators/esim-go';
import { seededRandom } from '@holdfast/foundation';
import type { SyncProcessOptions } from '../../src/catalog/sync-main.ts';

/** `HOLDFAST_RUNS=1000` kills as often as the published statement. */
const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? 10);
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 15);
/** Of one sync; the next process is left alone. */
const KILLS_IN_A_ROW = 4;
const ROWS = 1_500;
const MAX_IN_FLIGHT = 8;
const MAIN = join(import.meta.dirname, '../../src/catalog/sync-main.ts');

let server: EsimGoServer;
let directory = '';

beforeAll(async () => {
  server = await createEsimGoServer({ rateLimit: false, rows: ROWS, maxPerPage: 50 });
  directory = await mkdtemp(join(tmpdir(), 'catalog-killed-'));
});

afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

function start(folder: string): ChildProcess {
  const { baseUrl, apiKey } = server;
  const api = { baseUrl, apiKey, maxInFlight: MAX_IN_FLIGHT };
  const options: SyncProcessOptions = { directory: folder, ...api };
  const args = ['--disable-warning=ExperimentalWarning', MAIN, JSON.stringify(options)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Its lines to the end; it is killed at one of them. */
async function linesOf(child: ChildProcess, killAt?: number): Promise<string[]> {
  const lines: string[] = [];
  if (child.stdout === null) return lines;
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length === killAt) child.kill('SIGKILL');
  }
  return lines;
}

async function newestOf(folder: string): Promise<readonly Bundle[]> {
  const reader = await createBackup({ directory: join(folder, 'backup') }).open();
  const bundles: Bundle[] = [];
  for await (const part of reader.readAll()) bundles.push(...part);
  await reader.close();
  return bundles;
}

/** The stored pages: the name of each is the hash of what is in it. */
async function pagesOf(folder: string): Promise<string[]> {
  return (await readdir(join(folder, 'sync', 'pages'))).toSorted();
}

const askedPages = (): number => server.getStats().requests.catalogue;

test(`a sync that is killed at ${RUNS} random moments ends in the same catalog, and asks for at most the pages in flight again`, async () => {
  const calm = join(directory, 'calm');
  await mkdir(calm);
  const steps = await linesOf(start(calm));
  const calmPages = askedPages();
  const expected = await newestOf(calm);
  expect(expected).toHaveLength(ROWS);
  const random = seededRandom(SEED);
  for (let from = 0; from < RUNS; from += KILLS_IN_A_ROW) {
    const kills = Math.min(KILLS_IN_A_ROW, RUNS - from);
    const folder = join(directory, `killed-${from}`);
    await mkdir(folder);
    const before = askedPages();
    for (let kill = 1; kill <= kills; kill += 1) {
      // At a line of a whole sync: one that goes on with another has fewer.
      await linesOf(start(folder), 1 + Math.floor(random() * (steps.length - 1)));
    }
    const newest = await createBackup({ directory: join(folder, 'backup') }).newest();
    const [last] = (await linesOf(start(folder))).slice(-1);
    expect(last).toMatch(new RegExp(`^done ${ROWS} `));
    // After each publication a sync begins that asks for all pages.
    const syncs = 1 + (newest?.generation ?? 0);
    const again = askedPages() - before - calmPages * syncs;
    expect(`seed ${SEED}, run ${from}: ${again <= kills * MAX_IN_FLIGHT}`).toBe(
      `seed ${SEED}, run ${from}: true`,
    );
    expect(await newestOf(folder)).toEqual(expected);
    expect(await pagesOf(folder)).toEqual(await pagesOf(calm));
    await rm(folder, { recursive: true });
  }
});
