import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { TestRecord } from '@holdfast/report';
import { type JestTest, collectRun } from '../src/collecting/collect.ts';
import { replayCommand } from '../src/collecting/replay-command.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-collect-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function collected(fields: Partial<JestTest>): TestRecord {
  const result = { fullName: 'it holds', status: 'failed', failureMessages: [], ...fields };
  const file = { testFilePath: join(root, 'a.test.ts'), testResults: [result] };
  const run = collectRun(
    { startTime: 0, wasInterrupted: false, testResults: [file] },
    { rootDirectory: root, endedAtMs: 0, scenarios: [], unreadableRecords: 0 },
  );
  const [first] = run.tests;
  if (first === undefined) throw new Error('no test was collected');
  return first;
}

/** The message of a failure whose stack has these places. */
const failing = (...places: string[]): string[] => [
  `Error: no\n${places.map((place) => `    at name (${place})`).join('\n')}`,
];

test('a failure has the source around the first line of its stack that is ours', () => {
  const path = join(root, 'a.test.ts');
  writeFileSync(path, Array.from({ length: 20 }, (_, index) => `line ${index + 1};`).join('\n'));
  const { line, codeFrame } = collected({
    failureMessages: failing(
      `${join(root, 'node_modules/expect/index.js')}:1:1`,
      `file://${path}:10:3`,
      `${path}:15:3`,
    ),
  });
  expect(line).toBe(10);
  expect(codeFrame?.split('\n')).toEqual([
    'a.test.ts:10',
    '   7 | line 7;',
    '   8 | line 8;',
    '   9 | line 9;',
    '> 10 | line 10;',
    '  11 | line 11;',
    '  12 | line 12;',
    '  13 | line 13;',
  ]);
});

test('a failure inside a helper shows the helper, and keeps the line of the test', () => {
  writeFileSync(join(root, 'helper.ts'), "const url = 'redis://u:hunter2@h';\n");
  const { line, codeFrame } = collected({
    failureMessages: failing(`${join(root, 'helper.ts')}:1:1`),
    location: { line: 42, column: 1 },
  });
  expect(line).toBe(42);
  expect(codeFrame).toContain("helper.ts:1\n> 1 | const url = 'redis://***@h';");
});

test.each([
  ['outside of the root', '/etc/hostname:1:1'],
  ['that is gone', join('gone.ts:1:1')],
  ['with a line that it does not have', 'a.test.ts:99:1'],
])('a source %s gives no code frame', (_, place) => {
  writeFileSync(join(root, 'a.test.ts'), 'one line');
  const absolute = place.startsWith('/') ? place : join(root, place);
  expect(collected({ failureMessages: failing(absolute) }).codeFrame).toBeUndefined();
});

test('a skipped test has the reason in its name, and a todo that it is not written', () => {
  const reasonOf = (fullName: string, status: string): string | undefined =>
    collected({ fullName, status }).skipReason;
  expect(reasonOf('a page (no chromium on PATH)', 'pending')).toBe('no chromium on PATH');
  expect(reasonOf('a page', 'pending')).toBeUndefined();
  expect(reasonOf('a page', 'todo')).toBe('not written yet');
});

test('the command that replays a test can be pasted whatever the test is called', () => {
  expect(replayCommand('npx jest {file} -t {name}', 'a b.test.ts', "it's (a|b) $HOME")).toBe(
    String.raw`npx jest 'a b.test.ts' -t 'it'\''s \(a\|b\) \$HOME$'`,
  );
  expect(collected({}).replay).toBe("npx jest a.test.ts --testNamePattern 'it holds$'");
});
