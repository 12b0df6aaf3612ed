import { expect, test } from '@jest/globals';
import { openTestStorage } from '../open-storage.ts';

test('an upload that is aborted when its bytes are on the disk is not accepted, and leaves none', async () => {
  const { storage, files } = await openTestStorage({ acknowledgeWithinMs: 0, inlineBytes: 1 });
  const leaving = new AbortController();
  const reason = new Error('leaving');
  files.intercept = ({ kind, name }) => {
    if (kind === 'rename' && name.includes('.blob')) leaving.abort(reason);
  };
  await expect(storage.upload('k', 'content', { signal: leaving.signal })).rejects.toBe(reason);
  expect(leaving.signal.aborted).toBe(true);
  expect(storage.pending()).toEqual([]);
  expect(storage.getStats().journalBytes).toBe(0);
  expect(files.names().filter((name) => name.includes('.blob'))).toEqual([]);
  await storage.close();
});

test('an upload that is aborted before it begins is not accepted', async () => {
  const { storage } = await openTestStorage({ acknowledgeWithinMs: 0 });
  const reason = new Error('left');
  const signal = AbortSignal.abort(reason);
  await expect(storage.upload('k', 'content', { signal })).rejects.toBe(reason);
  expect(storage.pending()).toEqual([]);
  await storage.close();
});
