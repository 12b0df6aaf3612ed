import { expect, test } from '@jest/globals';
import { registerStorageMetrics } from '@holdfast/storage/prometheus';
import { Registry } from 'prom-client';
import { fail } from '../../src/backend.ts';
import type { Storage } from '../../src/storage.ts';
import { AWAY, LOST, type TestStorage, openTestStorage } from '../open-storage.ts';

/** What each part of the interface says is pending. */
async function countsOf({ storage, clock }: TestStorage): Promise<readonly number[]> {
  const registry = new Registry();
  const unregister = registerStorageMetrics({ registry, storages: { tested: storage } });
  const text = await registry.metrics();
  unregister();
  const [, measured] = /^storage_pending_writes\{storage="tested"\} (\d+)$/m.exec(text) ?? [];
  return [
    storage.pending().length,
    storage.health().pendingWrites,
    storage.getStats().pendingWrites,
    Number(measured),
    await clock.settle(storage.flush({ deadlineMs: 0 })),
  ];
}

const all = (count: number): readonly number[] => [count, count, count, count, count];

test('pending means the same everywhere: waiting, in flight, verified, refused, and done', async () => {
  const opened = await openTestStorage({
    acknowledgeWithinMs: 0,
    circuitBreaker: { failureThreshold: 10_000 },
    retry: { initialDelayMs: 100, maxDelayMs: 500 },
  });
  const { storage, clock, primary } = opened;
  expect(await countsOf(opened)).toEqual(all(0));
  primary.intercept = () => ({ before: AWAY });
  for (let write = 0; write < 35; write += 1) await storage.upload(`k${write}`, 'four');
  await clock.advance(1_000);
  expect(await countsOf(opened)).toEqual(all(35));
  expect(storage.getStats()).toMatchObject({ pendingBytes: 140, journalBytes: 140 });
  expect(storage.pending()[0]).toMatchObject({ waitingFor: ['primary'], verifying: [] });

  const lost = new Set<string>();
  primary.intercept = ({ kind, key }) => {
    if (kind !== 'put' || lost.has(key)) return undefined;
    lost.add(key);
    return { before: LOST };
  };
  await clock.advance(5_000);
  expect(storage.health().backends['primary']?.state).toBe('up');
  expect(await countsOf(opened)).toEqual(all(35));
  expect(storage.pending()[0]).toMatchObject({ waitingFor: [], verifying: ['primary'] });
  expect(storage.health().oldestPendingMs).toBeGreaterThanOrEqual(6_000);
  expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
  expect(await countsOf(opened)).toEqual(all(0));
  expect(storage.getStats()).toMatchObject({ pendingBytes: 0, journalBytes: 0 });
  expect(storage.health().oldestPendingMs).toBeUndefined();

  primary.intercept = ({ kind }) =>
    kind === 'put' ? { before: fail('invalid', 'too large') } : undefined;
  await storage.upload('refused', 'x');
  expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(1);
  expect(await countsOf(opened)).toEqual(all(1));
  await storage.close({ deadlineMs: 0 });
});

test('what only the next process has to know of is not pending, and holds up no flush', async () => {
  const before = await openTestStorage({ acknowledgeWithinMs: 0 });
  before.primary.intercept = () => ({ after: LOST });
  before.mirror.intercept = () => ({ after: LOST });
  for (let write = 0; write < 5; write += 1) await before.storage.upload(`k${write}`, 'four');
  await before.clock.advance(50);
  before.primary.intercept = () => undefined;
  before.mirror.intercept = () => undefined;
  const opened = await before.restart();
  const { storage, clock } = opened;
  await clock.advance(1_000);
  expect(await countsOf(opened)).toEqual(all(0));
  const sinceMs = clock.now();
  expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
  expect(clock.now() - sinceMs).toBeLessThan(1_000);
  const { journalBytes, backends } = storage.getStats();
  expect([journalBytes, backends['primary']?.waiting]).toEqual([20, 0]);
  await clock.advance(10_000);
  expect(storage.getStats().journalBytes).toBe(0);
  await storage.close();
});

test('a backend that has everything says so once, with the number of writes', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  const drained: Parameters<Parameters<Storage['on']>[1]>[0][] = [];
  storage.on('drained', (event) => void drained.push(event));
  primary.intercept = () => ({ before: AWAY });
  for (let write = 0; write < 5; write += 1) await storage.upload(`k${write}`, 'x');
  await clock.advance(500);
  expect(drained.every((event) => 'backend' in event && event.backend === 'mirror')).toBe(true);
  drained.length = 0;
  primary.intercept = () => undefined;
  expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
  expect(drained).toMatchObject([{ backend: 'primary', writes: 5 }]);
  await storage.close();
});
