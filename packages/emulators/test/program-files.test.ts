import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { TestDataFactory } from '../src/esim-go.ts';
import { parseArguments } from '../src/control/program.ts';
import { programFiles } from '../src/control/program-files.ts';

const programs = ['http', 'dns', 'tls', 'git', 'esim-go', 'portal'] as const;

test.each(programs)('the %s program imports only Node and its own files', (name) => {
  const { main, files } = programFiles(new URL(`../src/${name}/main.ts`, import.meta.url), '/app');
  expect(main).toBe('/app/0-main.ts');
  const paths = new Set(files.map(({ path }) => path));
  expect(paths.size).toBe(files.length);
  const imported = files.flatMap(({ content }) =>
    [...content.matchAll(/^(?:import|export|\}).*?\bfrom '([^']+)'/gm)].map(([, from]) => from),
  );
  const elsewhere = imported.filter((from = '') => !from.startsWith('node:') && !paths.has(from));
  expect(elsewhere).toEqual([]);
  // Few files, because they are copied into every container.
  expect(files.length).toBeLessThan(60);
});

test('a program runs from its files alone, responds to clients, and exits at SIGTERM', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-program-'));
  const { main, files } = programFiles(new URL('../src/http/main.ts', import.meta.url), folder);
  for (const { path, content } of files) await writeFile(path, content);
  const child = spawn(process.execPath, [main, '127.0.0.1', '0'], {
    cwd: folder,
    env: {},
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const [line] = await once(createInterface(child.stdout), 'line');
    const port = Number(/:(\d+)$/.exec(String(line))?.[1]);
    const probe = request({ host: '127.0.0.1', port, path: '/health', agent: false }).end();
    const [answer] = await once(probe, 'response');
    expect(await text(answer)).toBe('{"status":"ok"}');
    const half = connect(port, '127.0.0.1');
    await once(half, 'connect');
    half.destroy();
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});

test('the eSIM Go program takes port, key, seed, rows, failures and latency from its environment', async () => {
  const main = fileURLToPath(new URL('../src/esim-go/main.ts', import.meta.url));
  const env = {
    PORT: '0',
    API_KEY: 'key',
    ROWS: '70',
    SEED: '3',
    FAILURE_RATE: '1',
    LATENCY_MS: '1',
  };
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [line] = await once(createInterface(child.stdout), 'line');
    const url = `http://127.0.0.1:${/:(\d+)$/.exec(String(line))?.[1]}`;
    const get = (): Promise<Response> =>
      fetch(`${url}/v2.5/catalogue?perPage=70`, { headers: { 'x-api-key': 'key' } });
    expect([500, 502, 503]).toContain((await get()).status);
    const change = async (settings: object): Promise<unknown> => {
      const present: unknown = await (await fetch(`${url}/__stage/settings`)).json();
      const body = JSON.stringify(Object.assign({}, present, settings));
      const changed = await fetch(`${url}/__stage/settings`, { method: 'PUT', body });
      return changed.json();
    };
    expect(await change({ failureRate: 0 })).toMatchObject({ latencyMs: 1, failureRate: 0 });
    const page: unknown = await (await get()).json();
    expect(page).toMatchObject({ rows: 70, bundles: TestDataFactory.createLargeDataset(70, 3) });
    expect(await change({ failureRate: 2 })).toMatchObject({
      error: expect.stringContaining('failureRate'),
    });
    const log: unknown = await (await fetch(`${url}/__stage/log`)).json();
    expect(log).toMatchObject([
      { operation: 'catalogue' },
      { operation: 'catalogue', status: 200 },
    ]);
  } finally {
    child.kill('SIGKILL');
  }
});

test.each(['-1', '65536', '3e3', 'http'])('a program does not listen on port %s', (port) => {
  expect(() => parseArguments([], { PORT: port })).toThrow(InvalidOptionError);
  expect(() => parseArguments(['127.0.0.1', port], {})).toThrow('port must be a whole number');
});

test('a program listens on 3000 unless an argument or its environment names another port', () => {
  expect(parseArguments([], {}).port).toBe(3_000);
  expect(parseArguments([], { PORT: '' }).port).toBe(3_000);
  expect(parseArguments([], { PORT: '4000' })).toEqual({
    host: '0.0.0.0',
    port: 4_000,
    file: undefined,
  });
  expect(parseArguments(['::1', '5000', 'f'], { PORT: '4000' })).toEqual({
    host: '::1',
    port: 5_000,
    file: 'f',
  });
});
