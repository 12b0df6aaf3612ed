import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { programFiles } from '../src/control/program-files.ts';

const programs = ['http', 'dns', 'tls', 'git'] as const;

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
  expect(files.length).toBeLessThan(45);
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
