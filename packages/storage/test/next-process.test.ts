import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import type { WriteStamp } from '../src/backend.ts';
import { createMemoryBackend } from '../src/backends/memory.ts';
import { createStorage } from '../src/create-storage.ts';
import type { Storage } from '../src/storage.ts';
import { AWAY, LOST, openTestStorage, textAt } from './open-storage.ts';

test('a body damaged on this machine is never sent, and the write is refused', async () => {
  const first = await openTestStorage({ acknowledgeWithinMs: 0, inlineBytes: 10 });
  first.primary.intercept = first.mirror.intercept = () => ({ before: AWAY });
  await first.storage.upload('k', 'what was accepted');
  await first.clock.advance(10);
  const { storage, clock, files, primary } = await first.restart();
  const blob = files.names().find((name) => name.endsWith('.blob')) ?? '';
  files.content(blob).write('WHAT');
  const read = storage.download('k').then((download) => download.bytes());
  await expect(read).rejects.toMatchObject({ code: 'STORAGE_BODY_INTEGRITY' });
  first.primary.intercept = first.mirror.intercept = () => undefined;
  await clock.settle(storage.flush({ deadlineMs: 600_000 }));
  expect(primary.objects.size).toBe(0);
  expect(storage.pending()).toMatchObject([{ path: 'k', refused: { kind: 'invalid' } }]);
  await storage.close();
});

test('a write of an earlier process that is applied late does not outlive its successor', async () => {
  const options = {
    acknowledgeWithinMs: 0,
    journal: { directory: '/storage', segmentBytes: 2_048 },
  };
  const first = await openTestStorage(options);
  let delayed: WriteStamp | undefined;
  first.primary.intercept = ({ kind, stamp }) => {
    if (kind !== 'put' || delayed !== undefined) return undefined;
    delayed = stamp;
    return { before: LOST };
  };
  await first.storage.upload('k', 'old');
  await first.clock.advance(1);
  // Enough writes that the journal could release the segment of the first one.
  for (let write = 0; write < 10; write += 1) {
    await first.storage.upload(`other ${write}`, 'x'.repeat(400));
  }
  await first.storage.upload('k', 'new');
  await first.clock.advance(3_000);

  const files = first.files.crash('kill', seededRandom(1));
  // Requests of the dead process reach no server.
  const primary = createMemoryBackend({ name: 'primary', clock: first.clock });
  const { storage, clock } = await openTestStorage(options, { clock: first.clock, files, primary });
  await clock.advance(3_000);
  if (delayed === undefined) throw new Error('nothing was sent');
  primary.apply('k', Buffer.from('old'), { stamp: delayed });
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  await clock.advance(30_000);
  expect(textAt(primary, 'k')).toBe('new');
  expect(storage.getStats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0 });
  await storage.close();
});

test('a storage whose journal was owned by another one opens it once the owner is gone, without a call too', async () => {
  const { storage: first, clock, files, primary } = await openTestStorage();
  const open = (): Storage =>
    createStorage({ backends: [primary], clock, files, journal: { directory: '/storage' } });
  const locked = {
    code: 'JOURNAL_LOCKED',
    message: expect.stringContaining('open in this process already'),
  };
  const calling = open();
  await expect(calling.upload('k', 'v')).rejects.toMatchObject(locked);
  await first.close();
  expect(await clock.settle(calling.upload('k', 'v'))).toMatchObject({ stored: 'primary' });
  const waiting = open();
  await expect(waiting.ready()).rejects.toMatchObject(locked);
  primary.intercept = () => ({ before: AWAY });
  await calling.upload('held', 'y', { acknowledgeWithinMs: 0 });
  await calling.close({ deadlineMs: 0 });
  // Delivers what its predecessor has left, though nobody calls it.
  const delivered = new Promise<void>((resolve) => {
    primary.intercept = ({ kind }) => void (kind === 'put' && resolve());
  });
  await clock.settle(delivered);
  expect(await clock.settle(waiting.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'held')).toBe('y');
  await waiting.close();
});
