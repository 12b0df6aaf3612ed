import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { RunReport } from '@holdfast/report';
import { killedRedis } from '../sample.ts';

const source = join(import.meta.dirname, '../../src');
const packages = join(import.meta.dirname, '../../..');
const jest = join(packages, '../node_modules/jest/bin/jest.js');

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-progress-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A reporter that prints the files in the order in which Jest starts them. */
function startsReporter(): string {
  const path = join(directory, 'starts-reporter.mjs');
  writeFileSync(
    path,
    `export default class {
  onTestFileStart({ path }) { process.stdout.write('started ' + path.split('/suites/test/')[1] + '\\n'); }
}`,
  );
  return path;
}

/** The arguments of Node that run Jest on these files as `npm start` does. */
function jestArguments(files: Record<string, string>, ...flags: string[]): string[] {
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, 'packages/suites/test', `${name}.test.ts`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const config = {
    extensionsToTreatAsEsm: ['.ts'],
    transform: {},
    testMatch: ['<rootDir>/packages/suites/test/**/*.test.ts'],
    testSequencer: join(packages, 'suites/src/running/sequencer.ts'),
    reporters: [
      startsReporter(),
      [join(source, 'jest-reporter.ts'), { outputDirectory: 'out', progress: true }],
    ],
    haste: { enableSymlinks: false },
  };
  const node = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const args = ['--rootDir', directory, '--config', JSON.stringify(config), '--no-cache'];
  return [...node, jest, ...args, ...flags];
}

const quiet = `test('quiet', () => {});`;
const recording = (scenario: object): string => `
import { record } from ${JSON.stringify(join(source, 'index.ts'))};
test('killed for 3 s under load, appendonly everysec', () => record(${JSON.stringify(scenario)}));
`;

test.each([['--runInBand'], ['--maxWorkers=2']])(
  'the most telling files begin first, whatever their size and name: %s',
  (flag) => {
    const { status, stdout } = spawnSync(
      process.execPath,
      jestArguments(
        {
          'a-family/large': quiet + ' '.repeat(50_000),
          'catalog-chaos/processes': quiet,
          'database-recovery/outages': recording({ ...killedRedis, family: 'database-recovery' }),
          'redis-failover/server/outages': recording(killedRedis),
          'redis-failover/server/clocks': `test('it fails', () => { throw new Error('gone'); });`,
        },
        flag,
      ),
      { cwd: directory, encoding: 'utf8' },
    );
    expect(status).toBe(1);
    const started = [...stdout.matchAll(/^started (.*)$/gm)].map(([, path]) => path);
    expect(started).toHaveLength(5);
    expect(started.slice(0, 2)).toEqual([
      'redis-failover/server/outages.test.ts',
      'database-recovery/outages.test.ts',
    ]);
    expect(stdout.match(/^\d+ ok lost 0 of 4210, detected 12 ms/gm)).toHaveLength(2);
    expect(stdout).toMatch(/^\d+ FAILED in /m);
    // The failure itself, with its place.
    expect(stdout).toMatch(/clocks\.test\.ts:1:\d+/);
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('4 passed, 1 failed');
    const lines = stripVTControlCharacters(stdout).split('\n');
    const widest = Math.max(...lines.map((line) => line.length));
    expect(widest).toBeLessThanOrEqual(80);
  },
  60_000,
);

test.each(['SIGINT', 'SIGTERM'] as const)(
  'a run with progress that %s ends has shown and reports what ran',
  async (signal) => {
    const endless = `test('endless', () => new Promise((end) => setTimeout(end, 120_000)), 120_000);`;
    const files = {
      'redis-failover/server/outages': recording(killedRedis),
      'other/endless': endless,
    };
    const child = spawn(process.execPath, jestArguments(files, '--runInBand'), {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let printed = '';
    child.stdout.setEncoding('utf8');
    const ended = once(child, 'close');
    for await (const text of child.stdout) {
      printed += String(text);
      if (printed.includes('begins other: endless')) child.kill(signal);
    }
    expect(await ended).toEqual([null, signal]);
    expect(printed).toContain('1 ok lost 0 of 4210, detected 12 ms');
    expect(printed).toContain('the run was stopped before its end');
    const run: RunReport = JSON.parse(readFileSync(join(directory, 'out', 'run.json'), 'utf8'));
    expect(run).toMatchObject({ interrupted: true, totals: { passed: 1 } });
    expect(run.scenarios).toHaveLength(1);
  },
  60_000,
);
