import { expect, test } from '@jest/globals';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { AWAY, openTestStorage, textAt } from './open-storage.ts';

const WRITES = 300;

test('the settlements of many writes share one record', async () => {
  const files = createMemoryFileSystem();
  const { storage, clock, primary, mirror } = await openTestStorage(
    { acknowledgeWithinMs: 0 },
    { files },
  );
  for (const backend of [primary, mirror]) backend.intercept = () => ({ before: AWAY });
  for (let write = 0; write < WRITES; write += 1) await storage.upload(`k${write}`, 'x');
  for (const backend of [primary, mirror]) {
    backend.intercept = () => new Promise((resolve) => setImmediate(resolve, undefined));
  }
  let journalWrites = 0;
  files.intercept = ({ kind }) => {
    if (kind === 'write') journalWrites += 1;
  };
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(primary.objects.size).toBe(WRITES);
  expect(journalWrites).toBeGreaterThan(0);
  expect(journalWrites).toBeLessThan(WRITES / 5);
});

test('after a crash before a settlement is recorded, the backend is read and no bytes are sent twice', async () => {
  const first = await openTestStorage({ acknowledgeWithinMs: 0 });
  first.mirror.intercept = () => ({ before: AWAY });
  let hold = (): void => undefined;
  const held = new Promise<undefined>((resolve) => {
    hold = () => resolve(undefined);
  });
  first.primary.intercept = ({ key }) => (key === 'slow' ? held : undefined);
  await first.storage.upload('slow', 'x');
  await first.storage.upload('quick', 'y');
  while (textAt(first.primary, 'quick') === undefined) await new Promise(setImmediate);

  first.primary.intercept = () => undefined;
  const second = await first.restart();
  first.mirror.intercept = () => undefined;
  expect(await second.clock.settle(second.storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  const { backends } = second.storage.getStats();
  expect(backends['primary']).toMatchObject({ alreadyApplied: 1, puts: 1 });
  expect(textAt(first.primary, 'quick')).toBe('y');
  hold();
});

test('an upload that is accepted while the storage closes does not wait for the primary', async () => {
  const { storage, clock } = await openTestStorage({ acknowledgeWithinMs: 6_000 });
  await clock.settle(storage.upload('warm', 'x'));
  const startedMs = clock.now();
  const upload = storage.upload('k', 'x');
  await clock.settle(storage.close());
  const { stored } = await clock.settle(upload);
  expect(['primary', 'queued']).toContain(stored);
  expect(clock.now() - startedMs).toBeLessThan(6_000);
});
