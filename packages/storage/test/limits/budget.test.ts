import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { Budget } from '../../src/accept/budget.ts';
import { PrimaryWaits } from '../../src/accept/primary-waits.ts';
import { fail } from '../../src/backend.ts';
import type { Operation } from '../../src/journal/operation.ts';

const full = (limit: string, retryable?: boolean): unknown =>
  expect.objectContaining({
    code: 'STORAGE_FULL',
    limit,
    ...(retryable !== undefined && { retryable }),
  });

test('writes take room up to the limits exactly, and give it back', () => {
  const budget = new Budget({ maxBytes: 100, maxPending: 2, maxObjectBytes: 80 });
  const first = budget.reserve(60);
  expect(() => budget.reserve(41)).toThrow(full('maxBytes', true));
  const second = budget.reserve(40);
  expect(budget.bytes).toBe(100);
  expect(() => budget.reserve(0)).toThrow(full('maxPending'));
  second.cancel();
  expect(budget.bytes).toBe(60);
  const third = budget.reserve(0);
  expect(() => budget.reserve(0)).toThrow(full('maxPending'));
  third.grow(40);
  expect(() => third.grow(1)).toThrow(full('maxBytes', true));
  expect(budget.bytes).toBe(100);
  third.cancel();
  first.cancel();
  expect(budget.bytes).toBe(0);
  budget.reserve(80);
});

test('a body that grows beyond the limit of an object is refused at the byte too many', () => {
  const budget = new Budget({ maxBytes: 1_000, maxPending: 9, maxObjectBytes: 80 });
  const growing = budget.reserve(0);
  for (let part = 0; part < 8; part += 1) growing.grow(10);
  expect(() => growing.grow(1)).toThrow(full('maxObjectBytes'));
  expect(() => budget.reserve(81)).toThrow(full('maxObjectBytes'));
  expect(budget.bytes).toBe(80);
});

test('a body larger than all the room is refused for good, one that fits later is not', () => {
  const budget = new Budget({ maxBytes: 100, maxPending: 9, maxObjectBytes: 1_000 });
  expect(() => budget.reserve(101)).toThrow(full('maxBytes', false));
  budget.reserve(1);
  expect(() => budget.reserve(100)).toThrow(full('maxBytes', true));
});

test('what an earlier process left counts, also beyond the limits, until it is released', () => {
  const budget = new Budget({ maxBytes: 100, maxPending: 2, maxObjectBytes: 100 });
  for (let adopted = 0; adopted < 3; adopted += 1) budget.adopt(50);
  expect(budget.bytes).toBe(150);
  expect(() => budget.reserve(0)).toThrow(full('maxPending'));
  budget.release(50);
  budget.release(50);
  expect(() => budget.reserve(51)).toThrow(full('maxBytes'));
  budget.reserve(50);
  expect(() => budget.reserve(0)).toThrow(full('maxPending'));
});

function operation(generation: number, key = 'k'): Operation {
  const none = { size: 0, sha256: '', contentType: '', maxAgeSeconds: 0, metadata: {} };
  const id = `w-n-${generation}`;
  return { ...none, kind: 'put', key, id, generation, acceptedAtEpochMs: 0 };
}

const at = (settledGeneration: number) => ({ key: 'k', settledGeneration, refusal: undefined });

test('a caller waits until the primary has its write or a later one, whatever other keys do', async () => {
  const clock = createFakeClock();
  const waits = new PrimaryWaits(clock);
  const ended: string[] = [];
  const wait = (generation: number, key = 'k'): void => {
    const name = `${key} ${generation}`;
    const wanted = waits.wait(operation(generation, key), 1_000, undefined);
    void wanted.then(({ kind }) => ended.push(`${name} ${kind}`));
  };
  for (const generation of [1, 2, 3]) wait(generation);
  wait(2, 'other');
  waits.notify(at(2), operation(3));
  await clock.advance(1);
  expect(ended).toEqual(['k 1 primary', 'k 2 primary']);
  await clock.advance(998);
  expect(ended).toHaveLength(2);
  await clock.advance(1);
  expect(ended.slice(2)).toEqual(['k 3 queued', 'other 2 queued']);
  expect(clock.pendingTimers).toBe(0);
});

test('a refusal ends the wait for the write that is refused, and no other', async () => {
  const clock = createFakeClock();
  const waits = new PrimaryWaits(clock);
  const newest = operation(2);
  const older = waits.wait(operation(1), 1_000, undefined);
  const refused = waits.wait(newest, 1_000, undefined);
  const refusal = fail('invalid', 'too large');
  waits.notify({ key: 'k', settledGeneration: 0, refusal: undefined }, newest);
  waits.notify({ key: 'k', settledGeneration: 0, refusal }, newest);
  expect(await refused).toEqual({ kind: 'refused', failure: refusal });
  expect(clock.pendingTimers).toBe(1);
  waits.releaseAll();
  expect(await older).toEqual({ kind: 'queued' });
  expect(clock.pendingTimers).toBe(0);
});

test('a wait whose signal aborts rejects with its reason, before it began or later', async () => {
  const clock = createFakeClock();
  const waits = new PrimaryWaits(clock);
  const leaving = new AbortController();
  const waiting = waits.wait(operation(1), 1_000, leaving.signal);
  const reason = new Error('leaving');
  leaving.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(waits.wait(operation(1), 1_000, leaving.signal)).rejects.toBe(reason);
  expect(clock.pendingTimers).toBe(0);
});
