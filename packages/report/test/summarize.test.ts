import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { summarize } from '@holdfast/report';
import { killedRedis, sampleRun } from './sample.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-total-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function written(name: string, content: unknown): string {
  const path = join(directory, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

test('several runs add up to one separate line', () => {
  const a = written('a.json', sampleRun({ totals: { passed: 3, failed: 0, skipped: 1 } }));
  const b = written('b.json', sampleRun({ totals: { passed: 4, failed: 0, skipped: 0 } }));
  expect(summarize([a, b]).lines).toEqual([
    `${a}: 3 passed, 0 failed, 1 skipped`,
    `${b}: 4 passed, 0 failed`,
    '7 passed, 0 failed, 1 skipped',
  ]);
});

test('a run that was stopped, and a scenario that lost work although its test passed, count as one failure each', () => {
  const stopped = written('a.json', sampleRun({ interrupted: true }));
  const lossy = written('b.json', sampleRun({ scenarios: [{ ...killedRedis, lost: 3 }] }));
  const { totals, lines } = summarize([stopped, lossy]);
  expect(totals).toEqual({ passed: 2, failed: 2, skipped: 0 });
  expect(lines).toEqual([
    `${stopped}: 1 passed, 0 failed, stopped before its end, which counts as one failure`,
    `redis-failover: ${killedRedis.scenario}: 3 lost, although its test passed`,
    `${lossy}: 1 passed, 0 failed, 3 lost`,
    '2 passed, 2 failed, 3 lost',
  ]);
});

test('a test that passed only when it was run again is named, and counts as passed', () => {
  const [first] = sampleRun().tests;
  const a = written('a.json', sampleRun({ tests: [{ ...first!, attempts: 2 }] }));
  expect(summarize([a]).lines).toEqual([
    `passed at attempt 2: ${first!.file}: ${first!.name}`,
    `${a}: 1 passed, 0 failed`,
    '1 passed, 0 failed',
  ]);
});

test.each([
  ['is missing', () => join(directory, 'missing.json')],
  ['is no report', () => written('list.json', [1])],
  ['has impossible counts', () => written('odd.json', { totals: { passed: -1 } })],
])('a run that %s counts as one failure', (_, pathOf) => {
  const { totals, lines } = summarize([pathOf()]);
  expect(totals).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(lines[0]).toContain('no run could be read');
});

test('the command ends with the totals and fails when anything failed', () => {
  const command = join(import.meta.dirname, '../src/bin/total-main.ts');
  const good = written('good.json', sampleRun());
  const passed = spawnSync(process.execPath, [command, good], { encoding: 'utf8' });
  expect(passed).toMatchObject({ status: 0, stderr: '' });
  expect(passed.stdout.trimEnd().split('\n').at(-1)).toBe('1 passed, 0 failed');

  const missing = join(directory, 'missing.json');
  const failed = spawnSync(process.execPath, [command, good, missing], { encoding: 'utf8' });
  expect(failed.status).toBe(1);
  expect(failed.stdout.trimEnd().split('\n').at(-1)).toBe('1 passed, 1 failed');
});
