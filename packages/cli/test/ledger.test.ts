import { expect, test } from '@jest/globals';
import { DemoLedger } from '../src/demo/ledger.ts';
import { headline, isKept, summaryTable } from '../src/demo/summary.ts';

/** Six that were handed over: three accepted, one of them in an outage, two refused, one with an unknown outcome. */
function filledLedger(): DemoLedger {
  const ledger = new DemoLedger();
  const [one = 0, two = 0, three = 0, four = 0, five = 0, six = 0] = Array.from({ length: 6 }, () =>
    ledger.next(),
  );
  ledger.accept(one, true);
  ledger.accept(two, true);
  ledger.accept(three, false);
  ledger.reject(four, true, '53100');
  ledger.reject(five, true, '53100');
  ledger.reject(six, false, 'DATABASE_QUERY_TIMEOUT');
  return ledger;
}

const outcomeOf = (ledger: DemoLedger, found: readonly (readonly [number, number])[]) => ({
  unit: 'rows',
  ledger,
  verdict: ledger.judge(new Map(found)),
});

test('what was accepted and is found once is kept', () => {
  const outcome = outcomeOf(filledLedger(), [
    [1, 1],
    [2, 1],
    [3, 1],
    // Its outcome was unknown: it may be there.
    [6, 1],
  ]);
  expect(outcome.verdict).toEqual({
    accepted: 3,
    deferred: 1,
    lost: [],
    doubled: [],
    contradicted: [],
    refused: 2,
    unknown: 1,
  });
  expect(isKept(outcome)).toBe(true);
});

test('what was accepted and is not found is lost, and the headline says so', () => {
  const outcome = outcomeOf(filledLedger(), [
    [1, 1],
    [3, 1],
  ]);
  expect(outcome.verdict.lost).toEqual([2]);
  expect(isKept(outcome)).toBe(false);
  expect(headline(['kill'], [outcome])).toBe('killed 1, frozen 0, filled 0: lost 1, doubled 0');
});

test('what is found twice is doubled, also when its outcome was unknown', () => {
  const outcome = outcomeOf(filledLedger(), [
    [1, 2],
    [2, 1],
    [3, 1],
    [6, 2],
  ]);
  expect(outcome.verdict.doubled).toEqual([1, 6]);
  expect(isKept(outcome)).toBe(false);
});

test('what was refused and is found all the same breaks a promise, too', () => {
  const outcome = outcomeOf(filledLedger(), [
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 1],
  ]);
  expect(outcome.verdict.contradicted).toEqual([4]);
  expect(isKept(outcome)).toBe(false);
  expect(headline([], [outcome])).toContain('refused but there 1');
});

test('what waits for an answer is neither accepted nor rejected', () => {
  const ledger = filledLedger();
  ledger.next();
  expect(ledger).toMatchObject({ accepted: 3, rejected: 3, waiting: 1 });
  expect(ledger.reasons()).toEqual([
    ['53100', 2],
    ['DATABASE_QUERY_TIMEOUT', 1],
  ]);
});

test('the next one that the server itself takes is noticed once, and one in an outage is not', () => {
  const ledger = new DemoLedger();
  let noticed = 0;
  ledger.onNextDirect(() => (noticed += 1));
  ledger.accept(1, false);
  expect(noticed).toBe(0);
  ledger.accept(2, true);
  ledger.accept(3, true);
  expect(noticed).toBe(1);
  const cancel = ledger.onNextDirect(() => (noticed += 1));
  cancel();
  ledger.accept(4, true);
  expect(noticed).toBe(1);
});

test('the table fits a terminal of 80 columns', () => {
  const lines = summaryTable([outcomeOf(filledLedger(), [])]);
  for (const line of lines) expect(line.length).toBeLessThan(80);
  expect(lines.at(-1)?.split(/\s+/)).toEqual(['rows', '3', '1', '3', '0', '2', '1']);
});
