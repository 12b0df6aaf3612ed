import { expect, test } from '@jest/globals';
import { compareRuns, compareWithHistory } from '../../src/history/compare.ts';
import { flakyTests } from '../../src/history/flaky.ts';
import { killedRedis, sampleRun, sampleTest } from '../sample.ts';
import { entryAt, recovered } from './sample-history.ts';

const usual = [1_000, 1_050, 950, 1_010, 990, 1_000, 1_030, 970].map((valueMs, index) =>
  recovered(index, valueMs),
);

test('a time within the noise of the runs before is no change', () => {
  expect(compareWithHistory(recovered(20, 1_080), usual)).toEqual([]);
});

test('a time above the noise in one run is suspect, in most of the newest three a regression', () => {
  expect(compareWithHistory(recovered(20, 3_000), usual)).toMatchObject([{ kind: 'suspect' }]);
  const slow = [...usual, recovered(8, 3_000)];
  expect(compareWithHistory(recovered(20, 3_000), slow)).toEqual([
    {
      name: 'redis: killed',
      kind: 'regression',
      what: 'recovery took 3.0 s, usually 1.0 s, at most 1.1 s (7 runs)',
    },
  ]);
});

test.each([
  ['another processor', { cpu: 'another' }],
  ['another stage', { stage: 'docker' }],
  ['another report', { report: 'unit' }],
  ['an interrupted run', { interrupted: true }],
])('times of %s are not compared', (_, fields) => {
  const others = usual.map((entry) => Object.assign({}, entry, fields));
  expect(compareWithHistory(recovered(20, 9_000), others)).toEqual([]);
});

test('a run is not compared with itself or with later ones', () => {
  const now = recovered(3, 9_000, { outcome: 'lost' });
  expect(compareWithHistory(now, [now, recovered(4, 1_000)])).toEqual([]);
});

test('work that is lost now is a regression at once, and its return a fix', () => {
  const lossy = recovered(20, 1_000, { outcome: 'lost' });
  expect(compareWithHistory(lossy, usual)).toEqual([
    { name: 'redis: killed', kind: 'regression', what: 'lost: recovered before' },
  ]);
  expect(compareWithHistory(recovered(21, 1_000), [...usual, lossy])).toEqual([
    { name: 'redis: killed', kind: 'fixed', what: 'recovered: lost before' },
  ]);
});

test('a test that fails now is a regression once', () => {
  const failing = { unsteady: { 'a.test.ts: it holds': 'failed' } } as const;
  const first = compareWithHistory(entryAt(5, failing), [entryAt(4)]);
  expect(first).toEqual([
    { name: 'a.test.ts: it holds', kind: 'regression', what: 'failed: passed before' },
  ]);
  expect(compareWithHistory(entryAt(6, failing), [entryAt(5, failing)])).toEqual([]);
  expect(compareWithHistory(entryAt(6), [entryAt(5, failing)])).toMatchObject([{ kind: 'fixed' }]);
});

test('two runs differ in what fails, loses, passes again and did not run; a time alone is suspect', () => {
  const named = (name: string, status: 'passed' | 'failed'): ReturnType<typeof sampleTest> =>
    sampleTest({ name, status });
  const before = sampleRun({
    tests: [named('a', 'passed'), named('b', 'failed'), named('c', 'passed')],
    scenarios: [killedRedis, { ...killedRedis, scenario: 'slow', recoveredAfterMs: 1_000 }],
  });
  const after = sampleRun({
    tests: [named('a', 'failed'), named('b', 'passed'), named('new', 'failed')],
    scenarios: [
      { ...killedRedis, lost: 1 },
      { ...killedRedis, scenario: 'slow', recoveredAfterMs: 2_000 },
    ],
  });
  expect(compareRuns(before, after).map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'regression packages/queue/test/failover.test.ts: a',
    'regression redis-failover: killed for 3 s under load, appendonly everysec',
    'suspect redis-failover: slow',
    'gone packages/queue/test/failover.test.ts: c',
    'fixed packages/queue/test/failover.test.ts: b',
  ]);
  expect(compareRuns(before, before)).toEqual([]);
});

test('flaky is a test that passed only when run again, or both at one commit, or began to fail twice', () => {
  const at = (index: number, unsteady: Record<string, 'failed' | 'retried'>, commit?: string) =>
    entryAt(index, { unsteady, ...(commit === undefined ? {} : { commit }) });
  expect(flakyTests([entryAt(1), at(2, { 'a.test.ts: x': 'retried' })])).toMatchObject([
    { test: 'a.test.ts: x', runs: 2, unsteady: 1 },
  ]);
  const failed = { 'a.test.ts: x': 'failed' } as const;
  expect(flakyTests([at(1, failed, 'same'), at(2, {}, 'same')])).toHaveLength(1);
  expect(flakyTests([at(0, {}), at(1, failed), at(2, {}), at(3, failed)])).toHaveLength(1);
  // Broken, then fixed; broken ever since.
  expect(flakyTests([at(0, {}), at(1, failed), at(2, {})])).toEqual([]);
  expect(flakyTests([at(0, {}), at(1, failed), at(2, failed)])).toEqual([]);
});

test('a rate of flakiness has the interval that its runs permit', () => {
  const runs = Array.from({ length: 10 }, (_, index) =>
    entryAt(index, index === 4 ? { unsteady: { 'a.test.ts: x': 'retried' } } : {}),
  );
  const [flaky] = flakyTests(runs);
  // Wilson's interval for 1 of 10.
  expect(flaky?.rate.low).toBeCloseTo(0.0179, 3);
  expect(flaky?.rate.high).toBeCloseTo(0.4042, 3);
});
