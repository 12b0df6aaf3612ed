import { expect, test } from '@jest/globals';
import { renderMarkdown } from '@holdfast/report';
import { renderTable } from '../../src/render/markdown.ts';
import { killedRedis, sampleRun, sampleTest } from '../sample.ts';

const scenario = {
  family: 'redis-failover',
  scenario: 'a killed Redis loses no job',
  fault: 'kill -9 | start',
  stage: 'local',
  detectedAfterMs: 7,
  lost: 0,
} as const;

test('a run without scenarios has totals, failures and their replay commands', () => {
  const failed = sampleTest({
    file: 'a.test.ts',
    line: 7,
    name: 'it <holds>',
    status: 'failed',
    failure: 'Expected: 1\n```',
    codeFrame: 'a.test.ts:7\n> 7 | expect(2).toBe(1)',
    replay: 'npx jest a.test.ts',
  });
  const text = renderMarkdown(sampleRun({ tests: [sampleTest(), failed] }));
  expect(text).toContain('### 1 failed\n\n1 passed, 1 failed · 1 min 34 s · Node v24.21.0\n');
  expect(text).toContain('<summary>✕ it &lt;holds&gt; (a.test.ts:7)</summary>');
  expect(text).toContain('```sh\nnpx jest a.test.ts\n```');
  expect(text).toContain('````\nExpected: 1\n```\n````');
  expect(text).toContain('> 7 | expect(2).toBe(1)');
  expect(text).not.toContain('| --- |');
});

test('losses and an interruption are reported above the table', () => {
  const scenarios = [{ ...scenario, lost: 3, duplicated: 1 }];
  const text = renderMarkdown(sampleRun({ scenarios, interrupted: true }));
  const lines = text.split('\n').filter((line) => line !== '');
  expect(lines[0]).toBe('### interrupted, 3 lost, 1 duplicated');
  expect(lines.slice(2, 5)).toEqual([
    '**The run was stopped before its end.**',
    '**redis-failover: a killed Redis loses no job: 3 lost, 1 duplicated, although its test passed.**',
    '| Promise | Fault | Detected after | Lost | Duplicated |',
  ]);
});

test('each scenario is a row with its measures, and foreign Markdown is escaped', () => {
  expect(renderTable([scenario]).split('\n')).toEqual([
    '| Promise | Fault | Detected after | Lost |',
    '| --- | --- | ---: | ---: |',
    '| a killed Redis loses no job | kill -9 \\| start | 7 ms | 0 |',
    '',
  ]);
  expect(renderTable([])).toBe('');
});

test('a summary never exceeds 1 MiB, and says what it leaves out', () => {
  const tests = Array.from({ length: 1_000 }, (_, index) =>
    sampleTest({ name: `n${index}`, status: 'failed', failure: 'é'.repeat(10_000) }),
  );
  const scenarios = Array.from({ length: 10_000 }, () => killedRedis);
  const text = renderMarkdown(sampleRun({ tests, scenarios }));
  expect(Buffer.byteLength(text)).toBeLessThan(1_000_000);
  expect(text.slice(-100)).toMatch(/… \d+ more failures, \d+ more scenarios: see the report\n$/);
  expect(
    Buffer.byteLength(renderMarkdown(sampleRun({ tests }), { maxBytes: 50_000 })),
  ).toBeLessThan(50_000);
});
