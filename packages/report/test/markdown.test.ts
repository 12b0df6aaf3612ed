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

test('each scenario is a row with the measures that were taken, and foreign marks stay text', () => {
  expect(renderMarkdown({ scenarios: [scenario] }).split('\n')).toEqual([
    '| Promise | Fault | Detected after | Lost |',
    '| --- | --- | ---: | ---: |',
    '| a killed Redis loses no job | kill -9 \\| start | 7 ms | 0 |',
    '',
  ]);
});
