import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { STAGE_MODES } from '../src/mode-name.ts';

const HERE = fileURLToPath(new URL('..', import.meta.url));
const { resolve: resolveHere } = createRequire(import.meta.url);

/** The first TypeScript in the README. */
async function example(): Promise<string> {
  const readme = await readFile(join(HERE, 'README.md'), 'utf8');
  return /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
}

/** The folder of an installed package, from a file of it. */
async function packageFolder(name: string): Promise<string> {
  const file = await realpath(resolveHere(name));
  return file.slice(
    0,
    file.lastIndexOf(join('node_modules', name)) + join('node_modules', name).length,
  );
}

test('the README describes each mode', async () => {
  const readme = await readFile(join(HERE, 'README.md'), 'utf8');
  for (const mode of STAGE_MODES) expect(readme).toMatch(new RegExp(`^\\| \`${mode}\` +\\|`, 'm'));
});

test('the example of the README is a complete, short test, and passes in a project of its own', async () => {
  const code = await example();
  const body = code.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('import'));
  expect(body.length).toBeLessThanOrEqual(12);
  const project = await mkdtemp(join(tmpdir(), 'holdfast-readme-'));
  try {
    await writeFile(join(project, 'example.test.ts'), code);
    await writeFile(join(project, 'package.json'), '{"type":"module"}');
    const config = { transform: {}, extensionsToTreatAsEsm: ['.ts'] };
    await writeFile(join(project, 'jest.config.json'), JSON.stringify(config));
    const packages: [string, string][] = [
      ['@holdfast/stage', HERE],
      ['@jest/globals', await packageFolder('@jest/globals')],
      ['ioredis', await packageFolder('ioredis')],
    ];
    for (const [name, folder] of packages) {
      const link = join(project, 'node_modules', name);
      await mkdir(dirname(link), { recursive: true });
      await symlink(folder, link);
    }
    const jest = join(await packageFolder('jest'), 'bin', 'jest.js');
    const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
    const printed = await new Promise<string>((resolve) => {
      const options = { cwd: project, env: { ...process.env, HOLDFAST_STAGE: 'local' } };
      execFile(
        process.execPath,
        [...flags, jest, '--config', 'jest.config.json'],
        options,
        (_, out, err) => resolve(`${out}${err}`),
      );
    });
    expect(printed).toContain('1 passed, 1 total');
  } finally {
    await rm(project, { recursive: true, force: true });
  }
});
