import { expect, test } from '@jest/globals';
import { fail } from '../../src/backend.ts';
import {
  AWAY,
  LOST,
  type TestStorage,
  openTestStorage,
  textAt,
  writeElsewhere,
} from '../open-storage.ts';

async function flushed({ storage, clock }: TestStorage): Promise<void> {
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
}

test('a fresh write replaces what another writer wrote while an earlier one of ours failed', async () => {
  const one = await openTestStorage({ acknowledgeWithinMs: 0 });
  const { storage, clock, primary } = one;
  primary.intercept = ({ kind }) => (kind === 'put' ? { before: AWAY } : undefined);
  await storage.upload('k', 'first');
  await clock.advance(10);
  writeElsewhere(primary, 'k', 'theirs');
  await storage.upload('k', 'second');
  primary.intercept = () => undefined;
  await flushed(one);
  expect(textAt(primary, 'k')).toBe('second');
  expect(storage.getStats().conflicts).toBe(0);
  await storage.close();
});

test('a write that is under way when a later one is accepted can still read its bytes', async () => {
  const one = await openTestStorage({ acknowledgeWithinMs: 0, inlineBytes: 1 });
  const { storage, clock, primary, files } = one;
  let proceed: () => void = () => undefined;
  primary.intercept = async ({ kind }) => {
    if (kind === 'put') await new Promise<void>((resolve) => (proceed = resolve));
    return undefined;
  };
  await storage.upload('k', 'the first');
  await clock.advance(1);
  await storage.upload('k', 'the second');
  await clock.advance(1);
  primary.intercept = () => undefined;
  proceed();
  await clock.advance(0);
  expect(storage.getStats().backends['primary']?.failures).toMatchObject({ transient: 0 });
  await flushed(one);
  expect(textAt(primary, 'k')).toBe('the second');
  expect(storage.getStats().backends['primary']).toMatchObject({ puts: 2 });
  await clock.advance(60_000);
  expect(files.names().filter((name) => name.includes('.blob'))).toEqual([]);
  await storage.close();
});

test('a write that was never sent is superseded, and counts so', async () => {
  const one = await openTestStorage({ acknowledgeWithinMs: 0 });
  const { storage, clock, primary } = one;
  primary.intercept = () => ({ before: AWAY });
  for (let write = 0; write < 5; write += 1) {
    await storage.upload('k', `${write}`);
    await clock.advance(1);
  }
  primary.intercept = () => undefined;
  await flushed(one);
  expect(storage.getStats().backends['primary']).toMatchObject({ superseded: 4 });
  expect(storage.getStats().backends['mirror']).toMatchObject({ superseded: 0 });
  await storage.close();
});

test('settled and drained are reported once for each backend, with the time that the write waited', async () => {
  const one = await openTestStorage({ acknowledgeWithinMs: 0 });
  const { storage, clock, primary } = one;
  const settled: string[] = [];
  const drained: string[] = [];
  const waited: number[] = [];
  storage.on('settled', ({ backend, path, waitedMs }) => {
    settled.push(`${backend} ${path}`);
    if (backend === 'primary') waited.push(waitedMs);
  });
  storage.on('drained', ({ backend, writes }) => drained.push(`${backend} ${writes}`));
  primary.intercept = () => ({ before: AWAY });
  await storage.upload('a', 'x');
  await storage.upload('b', 'x');
  await clock.advance(4_000);
  expect(settled.toSorted()).toEqual(['mirror a', 'mirror b']);
  primary.intercept = () => undefined;
  await flushed(one);
  expect(settled.toSorted()).toEqual(['mirror a', 'mirror b', 'primary a', 'primary b']);
  for (const waitedMs of waited) expect(waitedMs).toBeGreaterThanOrEqual(4_000);
  expect(drained.at(-1)).toBe('primary 2');
  expect(drained.filter((received) => received.startsWith('mirror')).join(' ')).toMatch(
    /^mirror [12]/,
  );
  await storage.close();
});

test('the journal keeps a write that an earlier process may have sent, until it can be applied no more', async () => {
  const first = await openTestStorage({ acknowledgeWithinMs: 0 });
  first.primary.intercept = ({ kind }) => (kind === 'put' ? { before: LOST } : undefined);
  await first.storage.upload('k', 'x');
  await first.clock.advance(10);
  const second = await first.restart();
  const { storage, clock, primary } = second;
  primary.intercept = () => undefined;
  await flushed(second);
  expect(storage.pending()).toEqual([]);
  await clock.advance(5_000);
  expect(storage.getStats().journalBytes).toBeGreaterThan(0);
  // It is written once, and no more than read again.
  expect(storage.getStats().backends['primary']?.puts).toBe(1);
  await clock.advance(30_000);
  expect(storage.getStats().journalBytes).toBe(0);
  await storage.close();
});

test('a superseded write in doubt is kept in the journal as long as it may be applied', async () => {
  const one = await openTestStorage({ acknowledgeWithinMs: 0 });
  const { storage, clock, primary } = one;
  let puts = 0;
  primary.intercept = ({ kind }) => {
    if (kind !== 'put') return undefined;
    puts += 1;
    return puts === 1 ? { before: LOST } : undefined;
  };
  await storage.upload('k', '1234');
  await clock.advance(1);
  await storage.upload('k', '56');
  await clock.advance(5_000);
  expect(storage.getStats().journalBytes).toBe(6);
  await clock.advance(60_000);
  await flushed(one);
  expect([textAt(primary, 'k'), storage.getStats().journalBytes]).toEqual(['56', 0]);
  await storage.close();
});

test('what the primary refuses is refused to its caller, and stays for no other backend', async () => {
  const one = await openTestStorage({ acknowledgeWithinMs: 60_000 });
  const { storage, clock, primary, mirror } = one;
  const received: string[] = [];
  storage.on('refused', ({ backend, path }) => received.push(`${backend} ${path}`));
  mirror.intercept = () => ({ before: AWAY });
  primary.intercept = ({ kind }) =>
    kind === 'put' ? { before: fail('invalid', 'too large') } : undefined;
  await expect(clock.settle(storage.upload('k', 'x'))).rejects.toMatchObject({
    outcome: 'not-applied',
  });
  mirror.intercept = () => undefined;
  await clock.advance(120_000);
  expect(received).toEqual(['primary k']);
  expect([storage.pending(), textAt(mirror, 'k')]).toEqual([[], undefined]);
  expect(storage.getStats().journalBytes).toBe(0);
  await storage.close();
});
