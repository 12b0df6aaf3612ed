import { expect, test } from '@jest/globals';
import { LearnedCap } from '../../src/pool/learned-cap.ts';

/** The times, in steps of 10 ms, at which one more connection may be tried while the server refuses each. */
function raisesUntil(cap: LearnedCap, fromMs: number, toMs: number): number[] {
  const times: number[] = [];
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 10) {
    if (!cap.raise(nowMs)) continue;
    times.push(nowMs);
    cap.refused(cap.value - 1, nowMs);
  }
  return times;
}

test('a refusal lowers the cap to what is there, to no less than one connection, and never raises it', () => {
  const cap = new LearnedCap(10);
  cap.refused(4, 0);
  expect(cap.value).toBe(4);
  cap.refused(7, 0);
  expect(cap.value).toBe(4);
  cap.refused(0, 0);
  expect(cap.value).toBe(1);
});

test('after a refusal one more is tried after 500 ms, and each further refusal doubles that, up to 30 s', () => {
  const cap = new LearnedCap(10);
  cap.refused(4, 0);
  expect(cap.raise(499)).toBe(false);
  expect(raisesUntil(cap, 500, 100_000)).toEqual([
    500, 1_500, 3_500, 7_500, 15_500, 31_500, 61_500, 91_500,
  ]);
});

test('connections that are refused together are one refusal', () => {
  const [one, together] = [new LearnedCap(10), new LearnedCap(10)];
  one.refused(4, 0);
  for (let refused = 0; refused < 5; refused += 1) together.refused(4, 0);
  expect(raisesUntil(together, 0, 20_000)).toEqual(raisesUntil(one, 0, 20_000));
});

test('connections that are refused together after a raise are one refusal as well', () => {
  const cap = new LearnedCap(10);
  cap.refused(4, 0);
  expect(cap.raise(500)).toBe(true);
  for (let refused = 0; refused < 5; refused += 1) cap.refused(4, 500);
  expect(raisesUntil(cap, 500, 8_000)).toEqual([1_500, 3_500, 7_500]);
});

test('a success at the cap permits one more at once, one below it says nothing', () => {
  const cap = new LearnedCap(10);
  cap.refused(4, 0);
  cap.succeeded(3);
  expect(cap.raise(10)).toBe(false);
  cap.succeeded(4);
  expect(cap.raise(10)).toBe(true);
  expect(cap.value).toBe(5);
  expect(cap.raise(10)).toBe(false);
  cap.succeeded(5);
  expect(raisesUntil(cap, 10, 2_000)).toEqual([10, 510, 1_510]);
});

test('nothing is tried beyond the maximum', () => {
  const cap = new LearnedCap(2);
  expect(cap.raise(1_000)).toBe(false);
  cap.refused(1, 1_000);
  expect([cap.raise(1_500), cap.raise(9_000), cap.value]).toEqual([true, false, 2]);
});

test('a server that accepts the maximum again is tried as fast as at first when it is full the next time', () => {
  const cap = new LearnedCap(5);
  cap.refused(4, 0);
  raisesUntil(cap, 0, 40_000);
  expect(cap.raise(100_000)).toBe(true);
  cap.succeeded(5);
  cap.refused(4, 200_000);
  expect([cap.raise(200_499), cap.raise(200_500)]).toEqual([false, true]);
});
