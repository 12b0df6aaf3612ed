import { expect, test } from '@jest/globals';
import { renderMarkdown } from '@holdfast/report';

const scenario = {
  family: 'redis-failover',
  scenario: 'a killed Redis loses no job',
  fault: 'kill -9 | start',
  stage: 'local',
  detectedAfterMs: 7,
  lost: 0,
} as const;

test('a run without scenarios has no table', () => {
  expect(renderMarkdown({ scenarios: [] })).toBe('');
});

test('losses and an interruption are reported above the table', () => {
  const run = { scenarios: [{ ...scenario, lost: 3, duplicated: 1 }], interrupted: true };
  expect(renderMarkdown(run).split('\n').slice(0, 4)).toEqual([
    '**The run was stopped before its end. 3 lost, 1 duplicated.**',
    '',
    '| Promise | Fault | Detected after | Lost | Duplicated |',
    '| --- | --- | ---: | ---: | ---: |',
  ]);
  expect(renderMarkdown({ scenarios: [], interrupted: true })).toBe(
    '**The run was stopped before its end.**\n',
  );
});

test('each scenario is a row with its measures, and foreign Markdown is escaped', () => {
  expect(renderMarkdown({ scenarios: [scenario] }).split('\n')).toEqual([
    '| Promise | Fault | Detected after | Lost |',
    '| --- | --- | ---: | ---: |',
    '| a killed Redis loses no job | kill -9 \\| start | 7 ms | 0 |',
    '',
  ]);
});
