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

test('a run stopped during the transfer of large objects writes its report, and leaves neither files nor processes', async () => {
  const child = start('infrastructure', '--', 'supabase-fallback/large-objects');
  const ended = once(child, 'exit');
  const hasBegun = (): boolean =>
    readdirSync(directory)
      .filter((name) => name.startsWith('hf-'))
      .some((name) =>
        readdirSync(join(directory, name)).some((made) => made.startsWith('holdfast-large-')),
      );
  while (!hasBegun() && child.exitCode === null) await nextTurn();
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  const run: RunReport = JSON.parse(readFileSync(join(directory, 'report', 'run.json'), 'utf8'));
  expect(run.interrupted).toBe(true);
  // Jest's cache is for the next run.
  expect(readdirSync(directory).toSorted()).toEqual(['holdfast-jest', 'report']);
  expect(processesLeft()).toEqual([]);
}, 120_000);
