import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readHistory } from '@holdfast/report';
import { killedRedis } from './sample.ts';
import { parseXml } from './parse-xml.ts';

const source = join(import.meta.dirname, '../src');
const jest = join(import.meta.dirname, '../../../node_modules/jest/bin/jest.js');

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-reporter-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The arguments of Node that run Jest with the reporter on the given test files, as a user would. */
function jestArguments(files: Record<string, string>, flags: readonly string[]): string[] {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const config = {
    extensionsToTreatAsEsm: ['.ts'],
    transform: {},
    testMatch: ['<rootDir>/*.test.ts'],
    haste: { enableSymlinks: false },
    reporters: [[join(source, 'jest-reporter.ts'), { outputDirectory: 'out' }]],
  };
  const options = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const args = ['--rootDir', directory, '--config', JSON.stringify(config), '--no-cache', ...flags];
  return [...options, jest, ...args];
}

function runJest(
  files: Record<string, string>,
  ...flags: string[]
): { status: number | null; lines: string[] } {
  const { status, stdout } = spawnSync(process.execPath, jestArguments(files, flags), {
    cwd: directory,
    encoding: 'utf8',
    env: { ...process.env, COLUMNS: '300' },
  });
  return { status, lines: stdout.trimEnd().split('\n') };
}

const recording = (scenario: object): string => `
import { record } from ${JSON.stringify(join(source, 'index.ts'))};
test('it is recorded', () => record(${JSON.stringify(scenario)}));
`;

test('records of test processes are in the report, on the terminal and in all three files', () => {
  mkdirSync(join(directory, 'out', 'records-999999999'), { recursive: true });
  const { status, lines } = runJest(
    {
      'a.test.ts': recording(killedRedis),
      'b.test.ts': recording({ ...killedRedis, scenario: 'cut for good', lost: 3 }),
      'c.test.ts': `test.skip('not today', () => {}); test('it fails', () => { throw new Error('redis://u:hunter2@h <gone>'); });`,
      'd.test.ts': `import './missing.ts';`,
    },
    '--maxWorkers=2',
  );
  expect(status).toBe(1);
  const [header, worst, next] = lines.slice(lines.findIndex((line) => line.startsWith('Scenario')));
  expect(header).toContain('Recovered');
  expect(worst).toContain('cut for good');
  expect(next).toContain('appendonly everysec');
  expect(lines.at(-2)).toBe(`report: ${join('out', 'index.html')}`);
  expect(lines.at(-1)).toBe('2 passed, 2 failed, 1 skipped, 3 lost');

  expect(readdirSync(join(directory, 'out')).toSorted()).toEqual([
    'badge.json',
    'ctrf.json',
    'history.jsonl',
    'index.html',
    'junit.xml',
    'run.json',
    'summary.md',
  ]);
  const [page = '', junit = '', run = ''] = ['index.html', 'junit.xml', 'run.json'].map((name) =>
    readFileSync(join(directory, 'out', name), 'utf8'),
  );
  expect(page + junit + run).not.toContain('hunter2');
  expect(page).toContain('redis://***@h &lt;gone&gt;');
  expect(parseXml(junit).attributes).toMatchObject({
    tests: '6',
    failures: '2',
    errors: '1',
    skipped: '1',
  });
  expect(JSON.parse(run)).toMatchObject({
    totals: { passed: 2, failed: 2, skipped: 1 },
    stage: 'local',
    node: process.version,
    scenarios: [{ scenario: 'cut for good' }, { note: killedRedis.note }],
    environment: { os: expect.any(String), cpu: expect.any(String) },
    tests: expect.arrayContaining([
      expect.objectContaining({
        name: 'it fails',
        line: 1,
        codeFrame: expect.stringContaining('> 1 | test.skip('),
        replay: "npx jest c.test.ts --testNamePattern 'it fails$'",
      }),
    ]),
  });
}, 60_000);

test('a run in one process has the same report, and without a scenario no table', () => {
  const { status, lines } = runJest({ 'a.test.ts': `test('quiet', () => {});` }, '--runInBand');
  expect(status).toBe(0);
  expect(lines).toEqual([`report: ${join('out', 'index.html')}`, '1 passed, 0 failed']);
  const recorded = runJest({ 'a.test.ts': recording(killedRedis) }, '--runInBand');
  const { entries } = readHistory(join(directory, 'out', 'history.jsonl'));
  expect(entries.map(({ report, totals }) => [report, totals.passed])).toEqual([
    ['out', 1],
    ['out', 1],
  ]);
  expect(recorded.lines.some((line) => line.includes('appendonly everysec'))).toBe(true);
}, 60_000);

test('a run whose records were removed prints its totals and fails', () => {
  const removing = `
import { rmSync } from 'node:fs';
test('it tidies too much', () => rmSync(process.env.HOLDFAST_RECORDS_DIRECTORY, { recursive: true }));
`;
  const { status, lines } = runJest({ 'a.test.ts': removing }, '--runInBand');
  expect(lines.at(-1)).toBe('1 passed, 0 failed');
  expect(status).not.toBe(0);
}, 60_000);

/** A test that creates a file when it starts, and does not end. */
const endless = `
import { writeFileSync } from 'node:fs';
test('it is under way', () => { writeFileSync('begun', ''); return new Promise((end) => setTimeout(end, 120_000)); }, 120_000);
`;

test.each([
  ['SIGINT', ['--runInBand']],
  ['SIGTERM', ['--maxWorkers=2']],
] as const)(
  'a run stopped by %s reports the tests that had run, marked as interrupted',
  async (signal, flags) => {
    mkdirSync(join(directory, 'out'));
    for (const name of ['index.html', 'junit.xml', 'run.json']) {
      writeFileSync(join(directory, 'out', name), 'of the run before');
    }
    const files = {
      'a.test.ts': recording(killedRedis),
      'b.test.ts': `test('it had ended', () => {});\n${endless}`,
    };
    const inOrder = [...flags, '--testTimeout=120000'];
    const child = spawn(process.execPath, jestArguments(files, inOrder), {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
    const ended = once(child, 'close');
    // A file of records exists before its first line is complete.
    const hasRecorded = (): boolean =>
      readdirSync(join(directory, 'out'), { recursive: true, encoding: 'utf8' })
        .filter((path) => /^records-[^/]*\/./.test(path))
        .some((path) => readFileSync(join(directory, 'out', path), 'utf8').endsWith('\n'));
    while (!existsSync(join(directory, 'begun')) || !hasRecorded()) await nextTurn();
    expect(existsSync(join(directory, 'out', 'index.html'))).toBe(false);
    child.kill(signal);
    expect(await ended).toEqual([null, signal]);

    const lines = printed.trimEnd().split('\n');
    expect(lines).toContain('the run was stopped before its end');
    expect(lines.some((line) => line.includes('appendonly everysec'))).toBe(true);
    const read = (name: string): string => readFileSync(join(directory, 'out', name), 'utf8');
    expect(read('index.html')).toContain('<title>interrupted · Holdfast</title>');
    expect(parseXml(read('junit.xml')).attributes).toMatchObject({ errors: '1' });
    const run: { interrupted: boolean; tests: { name: string }[] } = JSON.parse(read('run.json'));
    expect(run).toMatchObject({ interrupted: true, totals: { failed: 0 } });
    expect(run.tests.map(({ name }) => name)).toContain('it had ended');
    expect(
      readdirSync(join(directory, 'out')).filter((name) => name.startsWith('records-')),
    ).toEqual([]);
  },
  60_000,
);
