import { execFile } from 'node:child_process';
import {
  access,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { OLDEST_NODE, requireNode } from '@holdfast/foundation';

const PACKAGES = join(import.meta.dirname, '../..');
const run = promisify(execFile);

test.each(['22.22.0', '22.23.5', '23.0.0', '26.12.1'])('Node %s is accepted', (version) => {
  expect(() => requireNode('openStage', version)).not.toThrow();
});

test.each(['20.20.2', '22.21.9', '18.0.0'])(
  'Node %s is refused, with the required version',
  (version) => {
    expect(() => requireNode('openStage', version)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_NODE', seen: version, needed: OLDEST_NODE }),
    );
  },
);

test('the required version is that of the manifest', async () => {
  const manifest = JSON.parse(await readFile(join(PACKAGES, 'stage/package.json'), 'utf8'));
  expect(manifest).toMatchObject({ engines: { node: `>=${OLDEST_NODE}` } });
});

/** A Node of this machine that is older than the stage needs: HOLDFAST_OLD_NODE, or one on PATH. */
async function oldNode(): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const named = process.env['HOLDFAST_OLD_NODE'];
  for (const path of [
    ...(named === undefined ? [] : [named]),
    ...folders.map((folder) => join(folder, 'node')),
  ]) {
    const version = await run(path, ['--version']).then(
      ({ stdout }) => stdout.trim().slice(1),
      () => '99',
    );
    try {
      requireNode('openStage', version);
    } catch {
      return path;
    }
  }
  return undefined;
}

/** The packages as they are published, built from these sources. */
async function publish(folder: string): Promise<void> {
  await run(process.execPath, [
    join(PACKAGES, '../node_modules/typescript/bin/tsc'),
    '--build',
    join(PACKAGES, 'stage'),
  ]);
  for (const name of ['foundation', 'protocols', 'resilience', 'faults', 'emulators', 'stage']) {
    const to = join(folder, 'node_modules/@holdfast', name);
    await mkdir(to, { recursive: true });
    const from = join(PACKAGES, name);
    const pack = [join(PACKAGES, '../pack.mjs'), 'manifest'];
    const { stdout: manifest } = await run(process.execPath, pack, { cwd: from });
    await writeFile(join(to, 'package.json'), manifest);
    await cp(join(from, 'dist'), join(to, 'dist'), { recursive: true });
  }
  const testcontainers = join(PACKAGES, 'stage/node_modules/testcontainers');
  await symlink(await realpath(testcontainers), join(folder, 'node_modules/testcontainers'));
}

const OPENING = `
import { openStage, openStagePool } from '@holdfast/stage';
import { createS3Server } from '@holdfast/emulators';
const told = await Promise.allSettled([
  openStage({ mode: 'local', redis: true }),
  openStagePool({ stage: { mode: 'local', redis: true } }),
  createS3Server(),
]);
console.log(JSON.stringify(told.map(({ reason }) => ({ ...reason, message: reason?.message }))));
`;

const old = await oldNode();
if (old === undefined) {
  // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name says why
  test.skip('the published package refuses an older Node: needs one, on PATH or as HOLDFAST_OLD_NODE', () =>
    undefined);
} else {
  test('the published package refuses an older Node with a typed error, before anything is started', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-engine-'));
    try {
      await publish(folder);
      await writeFile(join(folder, 'open.mjs'), OPENING);
      await mkdir(join(folder, 'tmp'));
      const { stdout, stderr } = await run(old, [join(folder, 'open.mjs')], {
        env: { PATH: process.env['PATH'], HOME: folder, TMPDIR: join(folder, 'tmp') },
      });
      expect(stderr).toBe('');
      const { stdout: version } = await run(old, ['--version']);
      const refusal = (attempted: string): unknown =>
        expect.objectContaining({
          code: 'UNSUPPORTED_NODE',
          seen: version.trim().slice(1),
          needed: OLDEST_NODE,
          message: expect.stringMatching(`^${attempted}: this is Node`),
        });
      expect(JSON.parse(stdout)).toEqual(
        ['openStage', 'openStagePool', 'createS3Server'].map(refusal),
      );
      // No cache and no folder of a server: nothing was started.
      await expect(access(join(folder, '.cache'))).rejects.toMatchObject({ code: 'ENOENT' });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
}
