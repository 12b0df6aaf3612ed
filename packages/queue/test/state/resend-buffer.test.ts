import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import type { PublishedJob } from '../../src/backend.ts';
import { ResendBuffer, Retention } from '../../src/state/resend-buffer.ts';

function job(sequence: number, characters = 10): PublishedJob {
  const payload = 'x'.repeat(characters);
  return { sequence, id: `${sequence}`, unique: false, enqueuedAtMs: 0, dueAtMs: 0, payload };
}

interface Opened {
  readonly clock: FakeClock;
  readonly retention: Retention;
  readonly left: ResendBuffer;
  readonly right: ResendBuffer;
  /** When the connection was lost, if it is. */
  lostAtMs: number | undefined;
}

/** The buffers of two topics that share their retention. */
function open(retainMs = 1_000, maxCharacters = 1_000): Opened {
  const clock = createFakeClock();
  const lostAtMs = (): number | undefined => opened.lostAtMs;
  const retention = new Retention({ clock, retainMs, maxCharacters, lostAtMs });
  const [left, right] = [new ResendBuffer(retention), new ResendBuffer(retention)];
  const opened: Opened = { clock, retention, left, right, lostAtMs: undefined };
  return opened;
}

function kept(buffer: ResendBuffer, untilMs = 0, after = 0): number[] {
  return buffer.confirmedAfter(after, untilMs).map(({ sequence }) => sequence);
}

test('jobs are kept for the retention time, counted back from the last confirmation', async () => {
  const { clock, left } = open();
  left.add([job(1), job(2)]);
  await clock.advance(900);
  left.add([job(3)]);
  expect(kept(left, 1_000)).toEqual([1, 2, 3]);
  expect(kept(left, 1_000, 1)).toEqual([2, 3]);
  expect(kept(left, 1_001)).toEqual([3]);
  left.touch();
  expect(kept(left, 1_900)).toEqual([1, 2, 3]);
});

test('jobs of an idle topic expire, and their memory is freed, without another job of any topic', async () => {
  const { clock, retention, left } = open();
  left.add([job(1)]);
  await clock.advance(1_000);
  expect(retention.characters).toBe(10);
  await clock.advance(1);
  expect([retention.characters, kept(left)]).toEqual([0, []]);
  expect(clock.pendingTimers).toBe(0);
});

test('while the connection is lost nothing expires that was in time when it was lost', async () => {
  const opened = open();
  const { clock, left, right } = opened;
  left.add([job(1)]);
  await clock.advance(600);
  right.add([job(1)]);
  await clock.advance(500);
  opened.lostAtMs = clock.now();
  await clock.advance(60_000);
  expect([kept(left), kept(right, opened.lostAtMs)]).toEqual([[], [1]]);
  right.touch();
  opened.lostAtMs = undefined;
  await clock.advance(900);
  expect(kept(right, clock.now())).toEqual([1]);
  await clock.advance(1_200);
  expect(kept(right)).toEqual([]);
});

test('when topics hold too much together, the oldest jobs of all are given up, never the freshest of another', async () => {
  const { clock, retention, left, right } = open(1_000, 45);
  left.add([job(1), job(2)]);
  left.add([job(3), job(4)]);
  await clock.advance(10);
  right.add([job(1)]);
  expect([kept(left), kept(right)]).toEqual([[3, 4], [1]]);
  right.add([job(2), job(3)]);
  expect([kept(left), kept(right)]).toEqual([[], [1, 2, 3]]);
  // A job that is larger than all the room is not kept, and takes the place of nothing in the end.
  left.add([job(5, 100)]);
  expect(retention.characters).toBe(0);
});

test('jobs that are sent again count as the freshest', async () => {
  const { clock, left, right } = open(1_000, 45);
  left.add([job(1), job(2)]);
  await clock.advance(10);
  right.add([job(1), job(2)]);
  left.touch();
  right.add([job(3)]);
  expect([kept(left), kept(right)]).toEqual([[1, 2], [3]]);
});

test('a wall clock that steps expires nothing, and keeps nothing longer', async () => {
  const { clock, left } = open();
  left.add([job(1)]);
  clock.stepWallClock(7_200_000);
  await clock.advance(900);
  expect(kept(left)).toEqual([1]);
  clock.stepWallClock(-14_400_000);
  await clock.advance(200);
  expect(kept(left)).toEqual([]);
});

test('with a retention time of 0, no job is kept', () => {
  const { clock, retention, left } = open(0);
  left.add([job(1)]);
  expect([kept(left), retention.characters, clock.pendingTimers]).toEqual([[], 0, 0]);
});

test('after closing, no timer is left', () => {
  const { clock, retention, left } = open();
  left.add([job(1)]);
  retention.close();
  left.add([job(2)]);
  expect(clock.pendingTimers).toBe(0);
});

test('what fills the bound exactly is kept, and one character more gives up the oldest', () => {
  const { retention, left } = open(1_000, 30);
  left.add([job(1), job(2)]);
  left.add([job(3)]);
  expect([retention.characters, kept(left)]).toEqual([30, [1, 2, 3]]);
  left.add([job(4, 1)]);
  expect([retention.characters, kept(left)]).toEqual([11, [3, 4]]);
});
