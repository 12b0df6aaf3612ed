import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { killedRedis } from './sample.ts';
import { parseXml } from './parse-xml.ts';

const source = join(import.meta.dirname, '../src');
const jest = join(import.meta.dirname, '../../../node_modules/jest/bin/jest.js');

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-reporter-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs Jest with the reporter over the given test files, as a user would. */
function runJest(
  files: Record<string, string>,
  ...flags: string[]
): { status: number | null; lines: string[] } {
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
  const { status, stdout } = spawnSync(process.execPath, [...options, jest, ...args], {
    cwd: directory,
    encoding: 'utf8',
  });
  return { status, lines: stdout.trimEnd().split('\n') };
}

const recording = (scenario: object): string => `
import { record } from ${JSON.stringify(join(source, 'index.ts'))};
test('it is recorded', () => record(${JSON.stringify(scenario)}));
`;

test('what test processes record is in the report, on the terminal and in all three files', () => {
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
    'index.html',
    'junit.xml',
    'run.json',
  ]);
  const [page = '', junit = '', run = ''] = ['index.html', 'junit.xml', 'run.json'].map((name) =>
    readFileSync(join(directory, 'out', name), 'utf8'),
  );
  expect(page + junit + run).not.toContain('hunter2');
  expect(page).toContain('redis://***@h &lt;gone&gt;');
  expect(parseXml(junit).attributes).toMatchObject({ tests: '5', failures: '2', skipped: '1' });
  expect(JSON.parse(run)).toMatchObject({
    totals: { passed: 2, failed: 2, skipped: 1 },
    stage: 'local',
    node: process.version,
    scenarios: [{ scenario: 'cut for good' }, { note: killedRedis.note }],
  });
}, 60_000);

test('in one process it is the same, and without a scenario there is no table', () => {
  const { status, lines } = runJest({ 'a.test.ts': `test('quiet', () => {});` }, '--runInBand');
  expect(status).toBe(0);
  expect(lines).toEqual([`report: ${join('out', 'index.html')}`, '1 passed, 0 failed']);
  const recorded = runJest({ 'a.test.ts': recording(killedRedis) }, '--runInBand');
  expect(recorded.lines.some((line) => line.includes('appendonly everysec'))).toBe(true);
}, 60_000);

test('a run whose records were taken away prints its totals and fails', () => {
  const removing = `
import { rmSync } from 'node:fs';
test('it tidies too much', () => rmSync(process.env.HOLDFAST_RECORDS_DIRECTORY, { recursive: true }));
`;
  const { status, lines } = runJest({ 'a.test.ts': removing }, '--runInBand');
  expect(lines.at(-1)).toBe('1 passed, 0 failed');
  expect(status).not.toBe(0);
}, 60_000);
