import { expect, test } from '@jest/globals';
import { validate } from 'ctrf';
import { renderBadge } from '../../src/render/badge.ts';
import { renderCtrf } from '../../src/render/ctrf.ts';
import { killedRedis, sampleRun, sampleTest } from '../sample.ts';

const runs = {
  'a run that passes': sampleRun({ scenarios: [killedRedis] }),
  'a run with everything': sampleRun({
    stage: 'local',
    interrupted: true,
    unreadableRecords: 1,
    durationMs: 12.7,
    environment: { os: 'Linux', cpu: 'x', memoryBytes: 1, commit: 'abc', versions: { redis: '8' } },
    scenarios: [{ ...killedRedis, lost: 3 }],
    tests: [
      sampleTest({ line: 3, attempts: 2, durationMs: 1.5, project: 'unit' }),
      sampleTest({
        name: '',
        status: 'failed',
        failure: 'no\n  at x',
        codeFrame: '> 1 |',
        replay: 'r',
      }),
      sampleTest({ status: 'skipped', skipReason: 'no chromium' }),
    ],
  }),
  'a run of nothing': sampleRun({ tests: [] }),
};

test.each(Object.entries(runs))('%s is valid by the published schema', (_, run) => {
  const result = validate(JSON.parse(renderCtrf(run)));
  expect(result).toMatchObject({ valid: true });
});

test('the schema rejects what it should, so that the test above can fail', () => {
  const document = JSON.parse(renderCtrf(runs['a run that passes']));
  document.results.summary.passed = 'many';
  expect(validate(document).valid).toBe(false);
});

test('counts, retries, failures and reasons are carried', () => {
  const { results } = JSON.parse(renderCtrf(runs['a run with everything']));
  // The interrupted run and the lost work are two failed tests of their own.
  expect(results.summary).toMatchObject({ tests: 5, passed: 1, failed: 3, skipped: 1, flaky: 1 });
  expect(results.tests[0]).toMatchObject({
    line: 3,
    retries: 1,
    flaky: true,
    suite: ['unit', expect.anything()],
  });
  expect(results.tests[1]).toMatchObject({
    message: 'no',
    snippet: '> 1 |',
    extra: { replay: 'r' },
  });
  expect(results.tests[2]).toMatchObject({
    status: 'skipped',
    extra: { skipReason: 'no chromium' },
  });
});

test.each([
  [sampleRun({ scenarios: [killedRedis] }), '1 passed, 0 lost', 'brightgreen'],
  [sampleRun(), '1 passed', 'brightgreen'],
  [sampleRun({ scenarios: [{ ...killedRedis, lost: 2 }] }), '2 lost', 'red'],
  [sampleRun({ interrupted: true }), 'interrupted', 'red'],
  [sampleRun({ tests: [] }), 'no test passed', 'lightgrey'],
])('a badge is what shields.io reads', (run, message, color) => {
  expect(JSON.parse(renderBadge(run))).toEqual({
    schemaVersion: 1,
    label: 'holdfast',
    message,
    color,
  });
});
