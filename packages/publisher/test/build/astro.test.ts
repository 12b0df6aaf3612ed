import { cp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { BuildOutcome } from '../../src/build/build-outcome.ts';
import { runBuild } from '../../src/build/run-build.ts';
import { temporary } from '../temporary.ts';

const PACKAGE = join(import.meta.dirname, '../..');
const SITE = join(PACKAGE, '../../fixtures/site');
const ASTRO = join(PACKAGE, 'node_modules/astro/bin/astro.mjs');

async function build(change: (directory: string) => Promise<void>): Promise<BuildOutcome> {
  const directory = join(await temporary(), 'site');
  await cp(SITE, directory, { recursive: true });
  await symlink(join(PACKAGE, 'node_modules'), join(directory, 'node_modules'));
  await change(directory);
  return runBuild(
    { command: process.execPath, args: [ASTRO, 'build', '--outDir', '{output}'] },
    { sourceDirectory: directory, outputDirectory: join(directory, '../out'), clock: systemClock },
  );
}

test('Astro builds the site, and every page and link of it is there', async () => {
  const outcome = await build(async (directory) => rm(join(directory, 'package.json')));
  expect(outcome).toMatchObject({ kind: 'built' });
  const paths = outcome.kind === 'built' ? outcome.build.files.map(({ path }) => path) : [];
  expect(paths).toEqual(expect.arrayContaining(['index.html', 'about/index.html', 'favicon.svg']));
  expect(paths.some((path) => path.endsWith('.css'))).toBe(true);
});

test('a page that throws while Astro renders it fails the build, with other pages written', async () => {
  const outcome = await build((directory) =>
    writeFile(join(directory, 'src/pages/zoo.astro'), '---\nthrow new Error("no zoo");\n---\n'),
  );
  expect(outcome).toMatchObject({ kind: 'failed', failure: { kind: 'exit', code: 1 } });
});
