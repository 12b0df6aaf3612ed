import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  WeightedRoundRobin,
  subqueueOf,
  selectNext,
  routingOf,
} from '../../src/producer/scheduling.ts';

const keyed = (key: string): string | undefined => routingOf('t', { key, priority: undefined }, 4);

test('a key always has the same partition, below the number of partitions', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 64 }), (key, partitions) => {
      const subqueue = subqueueOf(keyed(key), partitions);
      expect(subqueueOf(keyed(key), partitions)).toBe(subqueue);
      expect(Number(subqueue)).toBeLessThan(partitions);
    }),
    { seed: 20_261_128 },
  );
});

test('a thousand keys are distributed over all partitions', () => {
  const counts = new Map<string, number>();
  for (let n = 0; n < 1_000; n += 1) {
    const subqueue = subqueueOf(keyed(`customer-${n}`), 8);
    counts.set(subqueue, (counts.get(subqueue) ?? 0) + 1);
  }
  expect(counts.size).toBe(8);
  expect(Math.max(...counts.values())).toBeLessThan(250);
});

test('a job without a key and priority has no routing', () => {
  expect(routingOf('t', { key: undefined, priority: undefined }, 4)).toBeUndefined();
  expect(routingOf('t', { key: undefined, priority: 'normal' }, undefined)).toBeUndefined();
  expect(routingOf('t', { key: undefined, priority: 'low' }, 4)).toBe('low');
});

test('a key without partitions, or with a priority, is rejected by name', () => {
  const refused = (field: string): unknown =>
    expect.objectContaining({ code: 'INVALID_OPTION', field });
  expect(() => routingOf('t', { key: 'k', priority: undefined }, undefined)).toThrow(
    refused('key'),
  );
  expect(() => routingOf('t', { key: 'k', priority: 'high' }, 4)).toThrow(refused('priority'));
});

test('unused shares are returned, whatever the sizes of the requests', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { minLength: 1, maxLength: 20 }), (sizes) => {
      const roundRobin = new WeightedRoundRobin();
      const reference = new WeightedRoundRobin();
      for (const size of sizes) {
        roundRobin.shares(size);
        roundRobin.giveBack(size);
      }
      expect(roundRobin.shares(10)).toEqual(reference.shares(10));
    }),
    { seed: 20_261_128 },
  );
});

test('through random takes, a partition delivers one job at a time, in order', () => {
  const entry = fc.record({ routing: fc.constantFrom('high', 'low', '1', '2', '3', undefined) });
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      (given, max) => {
        const roundRobin = new WeightedRoundRobin();
        const subqueue = ({ routing }: { routing: string | undefined }): string =>
          subqueueOf(routing, 2);
        let waiting = given.map(({ routing }, number) => ({ routing, number }));
        const taken: typeof waiting = [];
        while (waiting.length > 0) {
          const next = selectNext(waiting, subqueue, new Set(), { roundRobin, max });
          expect(next.length).toBeGreaterThan(0);
          expect(next.length).toBeLessThanOrEqual(max);
          const serial = next.map(subqueue).filter((name) => /^\d/u.test(name));
          expect(new Set(serial).size).toBe(serial.length);
          waiting = waiting.filter((one) => !next.includes(one));
          taken.push(...next);
        }
        for (const name of ['', 'high', 'low', '0', '1']) {
          const numbers = taken.filter((one) => subqueue(one) === name).map((one) => one.number);
          expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
        }
      },
    ),
    { seed: 20_261_128 },
  );
});
