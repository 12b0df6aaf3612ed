import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { waitUntilDone } from '../src/wait-until.ts';
import { runInGroup } from './process-group.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-group-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** A program that starts another one, which never ends, and then does this. */
async function programThat(then: string): Promise<string> {
  const path = join(folder, 'program.mjs');
  const source = `
    import { spawn } from 'node:child_process';
    import { writeFileSync } from 'node:fs';
    const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    writeFileSync('left', String(left.pid));
    ${then}
  `;
  await writeFile(path, source);
  return path;
}

/** What the file or the process shows once it matches; the empty text stands for what is not there. */
async function whenShown(path: string, wanted: RegExp): Promise<string> {
  let text = '';
  await waitUntilDone(
    async () => {
      text = await readFile(path, 'utf8').catch(() => '');
      return { isDone: wanted.test(text), mark: 0 };
    },
    () => `${path} shows "${text}"`,
  );
  return text;
}

/** The process that the program has started. */
const leftPid = async (): Promise<string> => whenShown(join(folder, 'left'), /^\d+$/);

/**
 * Resolves when the process has ended, as far as Linux shows it; one that has ended and whose parent is gone may stay
 * as a zombie.
 */
async function ended(pid: string): Promise<void> {
  await whenShown(`/proc/${pid}/stat`, /^$|\) [ZX] /);
}

test.each([
  ['ends well', 'process.exit(0);', 60_000, 'passed'],
  ['fails', 'process.exit(3);', 60_000, 'failed'],
  ['hangs', 'setInterval(() => {}, 1_000);', 2_000, 'hung'],
])('of a run that %s no process is left', async (_, then, withinMs, outcome) => {
  const program = await programThat(then);
  const running = runInGroup([program], { cwd: folder, env: process.env, withinMs });
  const left = await leftPid();
  expect(await running).toBe(outcome);
  await ended(left);
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'when the runner itself gets a %s no process is left',
  async (signal) => {
    const program = await programThat('setInterval(() => {}, 1_000);');
    const module = JSON.stringify(join(import.meta.dirname, 'process-group.ts'));
    const given = JSON.stringify({ cwd: folder, withinMs: 600_000 });
    const source = `
      const { endGroupsAtExit, runInGroup } = await import(${module});
      endGroupsAtExit();
      await runInGroup([${JSON.stringify(program)}], { ...${given}, env: process.env });
    `;
    const runner = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: 'ignore',
    });
    const left = await leftPid();
    const exit = once(runner, 'exit');
    runner.kill(signal);
    expect((await exit)[0]).toBeGreaterThan(128);
    await ended(left);
  },
);
