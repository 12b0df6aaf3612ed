import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { historyEntryOf } from '../../src/history/entry.ts';
import { appendHistory, readHistory } from '../../src/history/history-file.ts';
import { killedRedis, sampleRun, sampleTest } from '../sample.ts';
import { entryAt } from './sample-history.ts';

let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-history-'));
  path = join(directory, 'made', 'history.jsonl');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('each run is one line, and a missing file is an empty history', () => {
  expect(readHistory(path)).toEqual({ entries: [], unreadable: 0 });
  for (const index of [1, 2, 3]) appendHistory(path, entryAt(index));
  expect(readHistory(path)).toEqual({
    entries: [entryAt(1), entryAt(2), entryAt(3)],
    unreadable: 0,
  });
  expect(readFileSync(path, 'utf8').split('\n').filter(Boolean)).toHaveLength(3);
});

test('the oldest runs are removed when there are more than 400', () => {
  appendHistory(path, entryAt(0));
  const lines = Array.from({ length: 400 }, (_, index) => JSON.stringify(entryAt(index)));
  writeFileSync(path, `${lines.join('\n')}\n`);
  appendHistory(path, entryAt(400));
  const { entries } = readHistory(path);
  expect(entries).toHaveLength(400);
  expect(entries[0]).toEqual(entryAt(1));
  expect(entries.at(-1)).toEqual(entryAt(400));
});

test('the oldest runs are removed when the file would exceed 8 MiB, the newest is kept', () => {
  const large = (index: number): ReturnType<typeof entryAt> =>
    entryAt(index, { files: { [`${'x'.repeat(3_000_000)}.test.ts`]: 1 } });
  for (const index of [1, 2, 3, 4]) appendHistory(path, large(index));
  expect(statSync(path).size).toBeLessThanOrEqual(8 * 1024 * 1024);
  expect(readHistory(path).entries.map(({ startedAt }) => startedAt)).toEqual(
    [3, 4].map((index) => entryAt(index).startedAt),
  );
});

test('a line that was cut short, or is of a later version, is counted and hides no other', () => {
  appendHistory(path, entryAt(1));
  appendFileSync(path, JSON.stringify({ ...entryAt(2), version: 9 }));
  appendFileSync(path, '\n{"version":1,"repo');
  appendHistory(path, entryAt(3));
  const { entries, unreadable } = readHistory(path);
  expect(entries).toEqual([entryAt(1), entryAt(3)]);
  expect(unreadable).toBe(2);
});

test('a line keeps outcomes and times of scenarios, times of files, and tests that did not pass at once', () => {
  const run = sampleRun({
    scenarios: [{ ...killedRedis, lost: 2 }],
    tests: [
      sampleTest({ file: 'a.test.ts', name: `redis ${killedRedis.scenario}`, durationMs: 500.4 }),
      sampleTest({ file: 'a.test.ts', name: 'again', attempts: 2, durationMs: 100 }),
      sampleTest({ file: 'b.test.ts', name: 'broken', status: 'failed' }),
      sampleTest({ file: 'c.test.ts', status: 'skipped' }),
    ],
  });
  expect(historyEntryOf(run, 'infrastructure')).toMatchObject({
    report: 'infrastructure',
    totals: { passed: 2, failed: 1, skipped: 1 },
    lost: 2,
    files: { 'a.test.ts': 600, 'b.test.ts': 412 },
    scenarios: {
      'redis-failover: killed for 3 s under load, appendonly everysec': {
        outcome: 'lost',
        durationMs: 500.4,
        detectedAfterMs: 12,
        recoveredAfterMs: 3_412,
      },
    },
    unsteady: { 'a.test.ts: again': 'retried', 'b.test.ts: broken': 'failed' },
  });
});
