import { expect, test } from '@jest/globals';
import { textAt } from '../open-storage.ts';
import { QUEUED, away, closed, copied, flushed } from './copies.ts';

test('a read of a restored journal does not show what has been overwritten since', async () => {
  const { original, openCopy } = await copied(true);

  away(original, false);
  await flushed(original);
  await original.storage.upload('k', 'new');
  await flushed(original);
  await closed(original);
  // Nothing is decided yet: an earlier write of a life before may still be applied.
  const copy = await openCopy({ ...QUEUED, lateWriteMs: 3_600_000 });
  const shown = await copy.clock.settle(copy.storage.download('k'));
  expect([shown.from, Buffer.from(await shown.bytes()).toString()]).toEqual(['primary', 'new']);
  expect(await copy.clock.settle(copy.storage.info('k'))).toMatchObject({ from: 'primary' });
  // Where the backend does not answer, what waits is the best there is.
  away(copy, true);
  const waiting = await copy.clock.settle(copy.storage.download('k'));
  expect(waiting.from).toBe('pending');
  away(copy, false);
  await closed(copy);
});

test('a read of a restored journal does not show what has been removed since', async () => {
  const { original, openCopy } = await copied(true);
  away(original, false);
  await flushed(original);
  await original.storage.remove('k');
  await flushed(original);
  await closed(original);
  const copy = await openCopy({ ...QUEUED, lateWriteMs: 3_600_000 });
  expect(await copy.clock.settle(copy.storage.exists('k'))).toBe(false);
  await expect(copy.clock.settle(copy.storage.download('k'))).rejects.toMatchObject({
    code: 'STORAGE_NOT_FOUND',
  });
  await closed(copy);
});

test('a move of what waits in a restored journal leaves the newer object that it did not copy', async () => {
  const { original, openCopy } = await copied(true);
  away(original, false);
  await flushed(original);
  await original.storage.upload('k', 'new');
  await flushed(original);
  await closed(original);
  const copy = await openCopy(QUEUED);
  away(copy, true);
  await copy.clock.settle(copy.storage.move('k', 'moved'));
  await copy.clock.advance(10_000);
  away(copy, false);
  await flushed(copy);
  expect([textAt(copy.primary, 'k'), textAt(copy.primary, 'moved')]).toEqual(['new', 'old']);
  await closed(copy);
});
