import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readRun, renderPage } from '@holdfast/report';
import { killedRedis, sampleRun } from '../sample.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-read-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function written(content: unknown): string {
  const path = join(directory, 'run.json');
  writeFileSync(path, JSON.stringify(content));
  return path;
}

test('a run is read back as it was written', () => {
  const run = sampleRun({ scenarios: [killedRedis] });
  expect(readRun(written(run))).toEqual(run);
});

test('a run.json of version 1 is still read, and rendered', () => {
  const { unreadableRecords: _, ...rest } = sampleRun({ scenarios: [killedRedis] });
  const run = readRun(written({ ...rest, version: 1 }));
  expect(run).toMatchObject({ version: 2, unreadableRecords: 0, scenarios: [killedRedis] });
  expect(renderPage(run)).toContain('appendonly everysec');
});

test.each([
  ['of a later version', { version: 3 }, 'a newer @holdfast/report reads this run'],
  ['without counts', { version: 2 }, 'totals.passed'],
  ['with a damaged test', { ...sampleRun(), tests: [{}] }, 'tests.0'],
  ['with a damaged scenario', { ...sampleRun(), scenarios: [{ family: 1 }] }, 'family'],
  ['that is a list', [1], 'totals.passed'],
])('a run %s is refused by name', (_, content, said) => {
  expect(() => readRun(written(content))).toThrow(said);
});
