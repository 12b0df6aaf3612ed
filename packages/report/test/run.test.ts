import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { RunReport } from '@holdfast/report';

const RUN = join(import.meta.dirname, '../../../run.mjs');

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-run-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a script of package.json with a separate temporary folder and report. */
function start(...argv: string[]): ChildProcessByStdio<null, null, Readable> {
  return spawn(process.execPath, [RUN, ...argv], {
    env: { ...process.env, TMPDIR: directory, HOLDFAST_REPORT: join(directory, 'report') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** The running processes that the run has started; empty where the system has no /proc. */
function processesLeft(): string[] {
  if (!existsSync('/proc/self/environ')) return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`TMPDIR=${directory}`);
    } catch {
      return false;
    }
  });
}

test.each([
  ['infrastructure', 'nonsense'],
  ['infrastructure', '--', 'redis-failover/nothing'],
  ['infrastructure', '('],
  ['unit', 'redis-failover'],
  ['test', 'nonsense'],
])('a pattern that no test matches is rejected before a test is run: %s %s %s', async (...argv) => {
  const child = start(...argv.filter((word) => word !== undefined));
  const ended = once(child, 'exit');
  const stderr = await text(child.stderr);
  expect(stderr).toContain(`matches '${argv.at(-1)}'; nothing was run`);
  expect(await ended).toEqual([2, null]);
  expect(readdirSync(directory)).toEqual([]);
});

/** Resolves when a scenario has begun, in the folder of the run. */
async function hasBegun(child: { readonly exitCode: number | null }): Promise<void> {
  const begun = (): boolean =>
    readdirSync(directory)
      .filter((name) => name.startsWith('hf-'))
      .some((name) =>
        readdirSync(join(directory, name)).some((made) => made.startsWith('holdfast-large-')),
      );
  while (!begun() && child.exitCode === null) await nextTurn();
}

function readReport(): RunReport {
  return JSON.parse(readFileSync(join(directory, 'report', 'run.json'), 'utf8'));
}

const SCENARIO = 'supabase-fallback/large-objects';

test('a run stopped during the transfer of large objects writes its report, and leaves neither files nor processes', async () => {
  const child = start('infrastructure', '--', SCENARIO);
  const ended = once(child, 'exit');
  await hasBegun(child);
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  expect(readReport().interrupted).toBe(true);
  // Jest's cache is for the next run.
  expect(readdirSync(directory).toSorted()).toEqual(['holdfast-jest', 'report']);
  expect(processesLeft()).toEqual([]);
}, 120_000);

test('a run whose npm was told to stop writes its report: the shell between them passes no signal on', async () => {
  // As npm starts a script; the second command keeps the shell from becoming the first.
  const script = `"${process.execPath}" "${RUN}" infrastructure ${SCENARIO}; exit $?`;
  const shell = spawn('sh', ['-c', script], {
    env: {
      ...process.env,
      TMPDIR: directory,
      HOLDFAST_REPORT: join(directory, 'report'),
      npm_lifecycle_event: 'start',
    },
    stdio: 'ignore',
  });
  const ended = once(shell, 'exit');
  await hasBegun(shell);
  shell.kill('SIGTERM');
  expect(await ended).toEqual([null, 'SIGTERM']);
  while (readdirSync(directory).some((name) => name.startsWith('hf-'))) await nextTurn();
  expect(readReport().interrupted).toBe(true);
  // The run itself ends last.
  while (processesLeft().length > 0) await nextTurn();
}, 120_000);
