import { expect, test } from '@jest/globals';
import { InDoubtWrites } from '../../src/replication/in-doubt-writes.ts';

test('a write without a response may be applied until its time is over, and holds up the others', () => {
  const writes = new InDoubtWrites();
  expect(writes.blockedUntil(1, 0)).toBeUndefined();
  writes.add(1, 1_000);
  expect(writes.mayStillApply(1, 999)).toBe(true);
  expect(writes.mayStillApply(1, 1_000)).toBe(false);
  expect(writes.mayStillApply(2, 0)).toBe(false);
  expect(writes.blockedUntil(1, 0)).toBeUndefined();
  expect(writes.blockedUntil(2, 999)).toBe(1_000);
  writes.add(3, 500);
  expect(writes.blockedUntil(2, 0)).toBe(1_000);
  expect(writes.untilMs(0)).toBe(1_000);
  expect(writes.untilMs(500)).toBe(1_000);
  expect(writes.blockedUntil(2, 1_000)).toBeUndefined();
  expect(writes.mayStillApply(1, 0)).toBe(false);
});

test('a write that is read back after its only attempt is in doubt no more', () => {
  const writes = new InDoubtWrites();
  writes.add(1, 1_000);
  expect(writes.needsVerification(1, 0)).toBe(true);
  writes.applied(2);
  expect(writes.untilMs(0)).toBe(1_000);
  writes.applied(1);
  expect(writes.untilMs(0)).toBeUndefined();
  expect(writes.needsVerification(1, 0)).toBe(false);
});

test.each([
  ['sent twice without a response', (writes: InDoubtWrites) => writes.add(1, 1_000)],
  ['sent again with a response', (writes: InDoubtWrites) => writes.resent(1)],
])('a write that was %s may be applied once more after it was read back', (_, again) => {
  const writes = new InDoubtWrites();
  writes.add(1, 1_000);
  again(writes);
  writes.applied(1);
  expect(writes.mayStillApply(1, 999)).toBe(true);
  expect(writes.needsVerification(1, 0)).toBe(true);
});

test('a response to a write that was never in doubt changes nothing', () => {
  const writes = new InDoubtWrites();
  writes.resent(1);
  expect(writes.untilMs(0)).toBeUndefined();
});

test('what an earlier process may have sent is in doubt however often it is read back, and undoes nothing', () => {
  const writes = new InDoubtWrites();
  writes.assumeSent(1, 1_000);
  writes.applied(1);
  expect(writes.mayStillApply(1, 999)).toBe(true);
  // The same bytes again.
  expect(writes.needsVerification(1, 0)).toBe(false);
  expect(writes.needsVerification(2, 0)).toBe(true);
  expect(writes.needsVerification(2, 1_000)).toBe(false);
});

test('the doubts of one key are not those of another', () => {
  const [one, other] = [new InDoubtWrites(), new InDoubtWrites()];
  one.add(1, 1_000);
  expect(other.untilMs(0)).toBeUndefined();
});
