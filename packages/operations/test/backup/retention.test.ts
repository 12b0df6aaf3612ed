import { expect, test } from '@jest/globals';
import { newSetId, timeOfSet } from '../../src/backup/manifest.ts';
import { expiredSets } from '../../src/backup/retention.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);
const idAt = (epochMs: number): string => newSetId(epochMs, Buffer.from('01020304', 'hex'));

test('the id of a set tells its time, and sorts by it', () => {
  expect(idAt(START_MS)).toBe('20260101T000000000Z-01020304');
  expect(timeOfSet(idAt(START_MS + HOUR_MS))).toBe(START_MS + HOUR_MS);
});

test('each rule keeps its own sets, and what no rule keeps is removed, the oldest first', () => {
  const everySixHours = Array.from({ length: 4 * 90 }, (_, at) =>
    idAt(START_MS + at * 6 * HOUR_MS),
  );
  const expired = expiredSets(everySixHours, { last: 3, daily: 5, monthly: 3 });
  const kept = everySixHours.filter((setId) => !expired.includes(setId));
  expect(kept.map((setId) => setId.slice(0, 11))).toEqual([
    '20260131T18',
    '20260228T18',
    '20260327T18',
    '20260328T18',
    '20260329T18',
    '20260330T18',
    '20260331T06',
    '20260331T12',
    '20260331T18',
  ]);
  expect(expired).toEqual(expired.toSorted());
});

test('the newest set is kept whatever the rules', () => {
  const sets = [idAt(START_MS), idAt(START_MS + HOUR_MS)];
  expect(expiredSets(sets, { last: 1, daily: 0, monthly: 0 })).toEqual([sets[0]]);
  expect(expiredSets([], { last: 1, daily: 0, monthly: 0 })).toEqual([]);
});
