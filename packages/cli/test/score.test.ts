import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Clock, systemClock } from '@holdfast/foundation';
import { type Check, scoreOf } from '../src/score/check.ts';
import { type CliRun, runCli } from './run-cli.ts';

const modules = join(import.meta.dirname, 'modules');
const KILLED = ['--only', 'Redis killed', '--stage', 'local'];

/** What the command runs with, so that the process of a probe finds its programs. */
const variables = process.env;

function score(kind: string, name: string, ...more: string[]): Promise<CliRun> {
  return runCli(['score', `--${kind}`, join(modules, name), ...more], { variables });
}

test('a queue that answers before Redis has the job loses points for each kind of fault that loses one', async () => {
  const [sound, lossy] = await Promise.all([
    score('queue', 'durable-queue.mjs', ...KILLED),
    score('queue', 'lossy-queue.mjs', ...KILLED),
  ]);
  expect(sound).toMatchObject({ exitCode: 0, stderr: '' });
  expect(sound.stdout).toMatch(/ok +6\/6 +loses no accepted job: lost 0 of [1-9]\d*\n/);
  expect(sound.stdout).toContain('score 100 of 100 (12 of 12 points)');
  expect(lossy.exitCode).toBe(1);
  expect(lossy.stdout).toMatch(/FAILED 0\/6 +loses no accepted job: lost [1-9]\d* of [1-9]\d*\n/);
  expect(lossy.stdout).toContain('score 50 of 100 (6 of 12 points)');
}, 120_000);

test('a storage and a pool are scored too', async () => {
  const [storage, pool] = await Promise.all([
    score('storage', 'storage.mjs', '--only', 'a sound S3', '--stage', 'local'),
    score('pool', 'pool.mjs', '--only', 'exhaustion', '--stage', 'local'),
  ]);
  expect(storage.stdout).toContain('score 100 of 100 (8 of 8 points)');
  expect(pool.stdout).toMatch(/score (50|100) of 100 \([12] of 2 points\)/);
}, 120_000);

test.each([
  ['no-default.mjs', 'has no function as its default export; it exports open'],
  ['throws.mjs', 'throws when it is imported: no REDIS_URL is set'],
  ['exits.mjs', 'ends the process when it is imported (exit code 3)'],
])('a module that cannot be used is refused before a server is started: %s', async (name, said) => {
  const { exitCode, stdout, stderr } = await score('queue', join('bad', name));
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  const words = stderr.replaceAll(/\s+/g, ' ');
  expect(words).toContain(said);
  expect(words).toContain('returns an object with add, work, close.');
});

/** A clock on which limits are over sooner. */
const hasty: Clock = {
  now: () => systemClock.now(),
  epochMs: () => systemClock.epochMs(),
  schedule: (delayMs, callback, options) => systemClock.schedule(delayMs / 20, callback, options),
};

test('a module that hangs when it is imported, or when it opens, is given up', async () => {
  const never = await runCli(['score', '--queue', join(modules, 'bad/never-imported.mjs')], {
    variables,
    clock: hasty,
  });
  expect(never.exitCode).toBe(2);
  expect(never.stderr.replaceAll(/\s+/g, ' ')).toContain('was not imported within 20 s');
}, 60_000);

test('wrong words name the way out, and nothing is started', async () => {
  const none = await runCli(['score']);
  expect(none.exitCode).toBe(2);
  expect(none.stderr.replaceAll(/\s+/g, ' ')).toContain("'holdfast score --queue ./my-queue.mjs'");
  const two = await runCli(['score', '--queue', 'a', '--storage', 'b']);
  expect(two.stderr).toContain('several modules are given');
  const gone = await runCli(['score', '--queue', './gone.mjs']);
  expect(gone).toMatchObject({ exitCode: 2 });
  expect(gone.stderr).toContain('does not exist');
  const probe = await score('queue', 'durable-queue.mjs', '--only', 'meteor');
  expect(probe.stderr.replaceAll(/\s+/g, ' ')).toContain("'Redis frozen under load for 2 s'");
});

test('the score is 100 only when every point was earned', () => {
  const checkOf = (points: number, earned: number): Check => ({
    name: '',
    seen: '',
    points,
    earned,
  });
  expect(scoreOf([checkOf(6, 6), checkOf(2, 2)])).toBe(100);
  expect(scoreOf([checkOf(1_000, 999)])).toBe(99);
  expect(scoreOf([])).toBe(0);
});
