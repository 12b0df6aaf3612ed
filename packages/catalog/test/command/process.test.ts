import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { type EsimGoServer, createEsimGoServer } from '@holdfast/emulators/esim-go';
import { environment } from '@holdfast/foundation';

const MAIN = join(import.meta.dirname, '../../src/command/main.ts');
const WITHIN_MS = 60_000;

let directory: string;
let api: EsimGoServer;
const children: ChildProcess[] = [];
/** What one process has compiled, the next ones load. */
const compiled = mkdtempSync(join(tmpdir(), 'holdfast-compiled-'));

afterAll(() => rmSync(compiled, { recursive: true, force: true }));
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-catalog-'));
  api = await createEsimGoServer({ rows: 400, rateLimit: false });
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  /** What was written so far. */
  readonly written: { out: string; err: string };
  readonly ended: Promise<{
    readonly code: number | null;
    readonly out: string;
    readonly err: string;
  }>;
  /** Resolves when it has written that. */
  saw(text: string): Promise<void>;
}

function start(args: readonly string[], variables: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: {
      PATH: environment['PATH'],
      ESIM_GO_API_KEY: api.apiKey,
      ESIM_GO_API_URL: api.baseUrl,
      NODE_COMPILE_CACHE: compiled,
      CATALOG_DIRECTORY: join(directory, 'catalog'),
      ...variables,
    },
    timeout: WITHIN_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const written = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (written.out += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (written.err += text));
  const ended = once(child, 'close').then(([code]) => ({ code, ...written }));
  return {
    child,
    written,
    ended,
    saw: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (`${written.out}${written.err}`.includes(text)) resolve();
        };
        child.stdout?.on('data', look);
        child.stderr?.on('data', look);
        look();
        void ended.then((end) => reject(new Error(`it ended: ${JSON.stringify(end)}`)));
      }),
  };
}

test('what is synced is found by search, status and serve, also when the API is gone', async () => {
  const synced = await start(['sync']).ended;
  expect(synced).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^generation \d+: 400 bundles/),
  });
  await api.close();
  const found = await start(['search', '--sort', 'name', '--limit', '2', '--json']).ended;
  expect(found.code).toBe(0);
  expect(JSON.parse(found.out)).toMatchObject({ total: 400, origin: { source: 'backup' } });
  expect(await start(['status']).ended).toMatchObject({
    code: 0,
    out: expect.stringMatching(/\nbackup +\d+ +400 .*newest\n$/),
  });
  const service = start(['serve', '--port', '0']);
  await service.saw('serves generation');
  const url = /http:\S+/.exec(service.written.out)?.[0] ?? '';
  const answer = await fetch(`${url}/bundles?limit=1`);
  expect([answer.status, answer.headers.get('x-catalog-source')]).toEqual([200, 'backup']);
  expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  service.child.kill('SIGTERM');
  expect(await service.ended).toMatchObject({ code: 0, err: expect.stringMatching(/closing\n$/) });
});

test('a sync that is interrupted ends with the number of the signal, and the next one goes on', async () => {
  api.change({ rows: 5_000, maxPerPage: 50, latencyMs: 20 });
  const first = start(['sync']);
  await first.saw('fetching');
  // The directory admits one process.
  const second = await start(['sync']).ended;
  expect(second).toMatchObject({ code: 4, err: expect.stringContaining('is owned by process') });
  first.child.kill('SIGINT');
  expect(await first.ended).toMatchObject({
    code: 130,
    out: '',
    err: expect.stringMatching(/interrupted by SIGINT\n$/),
  });
  api.change({ rows: 400, latencyMs: 0 });
  expect(await start(['sync']).ended).toMatchObject({ code: 0 });
});

test('a port or a directory that cannot be had is said, with the way out', async () => {
  const port = new URL(api.baseUrl).port;
  const serving = await start(['serve', '--port', port], { ESIM_GO_API_KEY: '' }).ended;
  expect(serving).toMatchObject({ code: 1, err: expect.stringContaining('another --port') });
  const status = await start(['status', '--directory', join(MAIN, 'below-a-file')]).ended;
  expect(status).toMatchObject({ code: 1, err: expect.stringContaining('another --directory') });
});

test('Redis and Postgres that are away are said, without their passwords', async () => {
  const away = {
    CATALOG_REDIS_URL: 'redis://:hunter2@127.0.0.1:1',
    CATALOG_DATABASE_URL: 'postgres://me:hunter2@127.0.0.1:1/none',
  };
  const status = await start(['status'], away).ended;
  expect(status.code).toBe(3);
  expect(status.out).toMatch(/\nredis +- +- +- +\S/);
  expect(status.out).toMatch(/\npostgres +- +- +- +\S/);
  const { CATALOG_REDIS_URL } = away;
  const sync = await start(['sync'], { CATALOG_REDIS_URL }).ended;
  expect(sync).toMatchObject({ code: 1, err: expect.stringContaining('lock in redis') });
  expect(JSON.stringify([status, sync])).not.toContain('hunter2');
});
