import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS } from '../../src/topology/first-run.ts';
import { parseStageOptions } from '../../src/options.ts';

const HERE = fileURLToPath(new URL('../..', import.meta.url));
const { resolve: resolveHere } = createRequire(import.meta.url);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-first-run-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What a program of Node prints, with a package source that does not answer. */
async function printedBy(args: readonly string[], env: Record<string, string>): Promise<string> {
  const programs = join(folder, 'bin');
  await mkdir(programs);
  await writeFile(join(programs, 'apt-get'), '#!/bin/sh\nexec /bin/sleep 60\n');
  await chmod(join(programs, 'apt-get'), 0o755);
  const options = {
    cwd: folder,
    env: { ...process.env, PATH: programs, XDG_CACHE_HOME: join(folder, 'cache'), ...env },
  };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (_failure, out, err) => resolve(`${out}${err}`));
  });
}

/** The folder of an installed package, from a file of it. */
async function packageFolder(name: string): Promise<string> {
  const file = await realpath(resolveHere(name));
  const within = join('node_modules', name);
  return file.slice(0, file.lastIndexOf(within) + within.length);
}

const ADVICE = /openStage is fetching Redis.*STAGE_OPEN_TIMEOUT_MS.*Jest.*Vitest.*node:test/;

test('a hook that Jest ends while a server is fetched stands beside a warning that names the timeout', async () => {
  const code = `
    import { beforeAll, expect, test } from '@jest/globals';
    import { openStage } from '@holdfast/stage';
    let stage;
    beforeAll(async () => {
      stage = await openStage({ mode: 'local', redis: true });
    });
    test('it is open', () => expect(stage).toBeDefined());
  `;
  await writeFile(join(folder, 'example.test.js'), code);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await writeFile(join(folder, 'jest.config.json'), '{"transform":{}}');
  const packages: [string, string][] = [
    ['@holdfast/stage', HERE],
    ['@jest/globals', await packageFolder('@jest/globals')],
  ];
  for (const [name, target] of packages) {
    const link = join(folder, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(target, link);
  }
  const jest = join(await packageFolder('jest'), 'bin', 'jest.js');
  const args = ['--experimental-vm-modules', jest, '--config', 'jest.config.json', '--forceExit'];
  const printed = await printedBy(args, { CI: 'true' });
  expect(printed).toContain('Exceeded timeout of 5000 ms for a hook');
  expect(printed).toMatch(ADVICE);
}, 60_000);

test('the warning appears once, before the fetching ends', async () => {
  const options = { redis: true, postgres: { version: 90 }, fetchTimeoutMs: 500 };
  const program = join(HERE, 'test/runtime/folders-runner.ts');
  const args = ['--disable-warning=ExperimentalWarning', program, JSON.stringify(options)];
  const printed = await printedBy(args, {});
  expect(printed).toContain('took longer than fetchTimeoutMs (500)');
  expect(printed.match(/STAGE_FIRST_RUN/g)).toHaveLength(1);
  expect(printed).toContain('for up to 0.5 s (fetchTimeoutMs)');
});

test('a hook of that length outlasts fetching, initial data, start and topology with the default timeouts', () => {
  const { fetchTimeoutMs, readyTimeoutMs } = parseStageOptions({});
  expect(STAGE_OPEN_TIMEOUT_MS).toBe(2 * fetchTimeoutMs + 2 * readyTimeoutMs);
});
