import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { runCli } from './run-cli.ts';

const root = join(import.meta.dirname, '../../..');
const main = join(import.meta.dirname, '../src/bin/holdfast-main.ts');

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-replay-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const OUTAGES = 'packages/suites/test/redis-failover/server/outages.test.ts';
const STORM = 'packages/suites/test/chaos/storm.test.ts';
const run = {
  scenarios: [
    {
      family: 'chaos',
      scenario: 'all servers at once',
      fault: 'a storm',
      stage: 'local',
      seed: 77,
    },
    {
      family: 'redis-failover',
      scenario: 'a Redis killed (it is back) loses no job',
      fault: 'kill -9',
      stage: 'local',
    },
    {
      family: 'redis-failover',
      scenario: 'a Redis that is frozen',
      fault: 'SIGSTOP',
      stage: 'docker',
      seed: 2,
    },
  ],
  tests: [
    { file: STORM, name: 'seed 77: all servers at once', status: 'passed' },
    { file: OUTAGES, name: 'a Redis killed (it is back) loses no job', status: 'failed' },
    { file: OUTAGES, name: 'a test that failed before it recorded', status: 'failed' },
  ],
};

function report(text = JSON.stringify(run)): string {
  const path = join(directory, 'run.json');
  writeFileSync(path, text);
  return path;
}

/** The command that a replay would run. */
async function printed(word: string): Promise<string> {
  const { exitCode, stdout } = await runCli(['replay', word, '--print', '--report', report()]);
  expect(exitCode).toBe(0);
  return stdout.trimEnd().split('\n').at(-1) ?? '';
}

const prefix = `cd ${root} && `;

test.each([
  ['its row', '1'],
  ['its seed', '77'],
  ['a part of its name', 'SERVERS at once'],
])('a scenario is found by %s, and run with its seed and stage', async (_, word) => {
  expect(await printed(word)).toBe(
    `${prefix}HOLDFAST_SEED=77 HOLDFAST_STAGE=local HOLDFAST_REPORT=reports/replay ` +
      `node run.mjs infrastructure suites/test/chaos/storm.test.ts -t 'seed 77: all servers at once$'`,
  );
});

test('the name of a test is no pattern, and a test without a scenario can be run again', async () => {
  expect(await printed('killed')).toContain(
    String.raw`-t 'a Redis killed \(it is back\) loses no job$'`,
  );
  expect(await printed('before it recorded')).toContain('before it recorded$');
  // No test has its name: its family is run.
  expect(await printed('that is frozen')).toBe(
    `${prefix}HOLDFAST_SEED=2 HOLDFAST_STAGE=docker HOLDFAST_REPORT=reports/replay node run.mjs infrastructure redis-failover`,
  );
});

test.each([
  ['a word that means nothing', 'nonsense', 'give a row from 1 to 3'],
  ['a row that is not there', '9', 'give a row from 1 to 3'],
  ['a name of several', 'redis-failover', "means 2 scenarios: 'redis-failover: a Redis killed"],
  ['a number that is a row and a seed', '2', 'means 2 scenarios'],
])('%s is answered by what can be given', async (_, word, said) => {
  const { exitCode, stderr } = await runCli(['replay', word, '--print', '--report', report()]);
  expect(exitCode).toBe(2);
  expect(stderr.replaceAll(/\s+/g, ' ')).toContain(said);
});

test('a file that is no report, or is missing, is named', async () => {
  for (const path of [report('{"scenarios": ['), join(directory, 'gone.json')]) {
    const { exitCode, stderr } = await runCli(['replay', '1', '--report', path]);
    expect(exitCode).toBe(2);
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain('is no report');
  }
});

function holdfast(folder: string, ...args: string[]): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, npm_lifecycle_event: undefined },
  });
  return { status, text: (stdout + stderr).replaceAll(/\s+/g, ' ') };
}

test('in an empty folder run and replay say what they need, and the way out', () => {
  for (const words of [['run'], ['replay', '1']]) {
    const { status, text } = holdfast(directory, ...words);
    expect(status).toBe(3);
    expect(text).toContain('no suites are in');
    expect(text).toContain('npm start');
    expect(text).toContain("'holdfast demo'");
  }
}, 30_000);

test('in a checkout run passes its words on', () => {
  const { status, text } = holdfast(join(root, 'packages/cli'), 'run', 'nonsense', '--seed', '5');
  expect(status).toBe(2);
  expect(text).toContain("no infrastructure test matches 'nonsense'");
}, 30_000);

test('in a package with Jest and the report run runs its own tests, with seed and stage', () => {
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  const manifest = {
    type: 'module',
    devDependencies: { '@holdfast/report': '*' },
    jest: { transform: {} },
  };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest));
  mkdirSync(join(directory, 'test'));
  writeFileSync(
    join(directory, 'test/own.test.js'),
    `test('own', () => expect([process.env.HOLDFAST_SEED, process.env.HOLDFAST_STAGE]).toEqual(['5', 'local']));`,
  );
  const { status, text } = holdfast(directory, 'run', 'own', '--seed', '5', '--stage', 'local');
  expect(text).toContain('1 passed');
  expect(status).toBe(0);
}, 60_000);
