import { expect, test } from '@jest/globals';
import type { Storage } from '../../src/storage.ts';
import { storageClient } from '../../src/supabase-compat/client.ts';
import { openTestStorage, textAt } from '../open-storage.ts';

test.each(['storage', 'facade'] as const)(
  'a move of the %s that is closed says not-applied only where nothing was: after any number of turns',
  async (kind) => {
    const outcomes = new Set<unknown>();
    for (let turns = 0; turns < 90; turns += 1) {
      const first = await openTestStorage({ acknowledgeWithinMs: 0 });
      const { storage, clock } = first;
      await clock.settle(Promise.all([storage.upload('a', 'moved'), storage.upload('b', 'old')]));
      const bucket = storageClient({ avatars: storage }).from('avatars').throwOnError();
      const moved =
        kind === 'storage'
          ? storage.move('a', 'b')
          : bucket.move('a', 'b', { upsert: true }).catch(({ cause }) => Promise.reject(cause));
      const moving = moved.then(
        () => 'moved',
        (error: unknown) => Reflect.get(Object(error), 'outcome'),
      );
      for (let turn = 0; turn < turns; turn += 1) {
        if (turn % 10 === 9) {
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
        } else await Promise.resolve();
      }
      await clock.settle(storage.close({ deadlineMs: 0 }));
      const outcome = await clock.settle(moving);
      outcomes.add(outcome);
      const next = await first.restart();
      const [a, b] = await Promise.all(
        ['a', 'b'].map(async (key) => {
          const download = await next.storage.download(key).catch(() => undefined);
          return download && Buffer.from(await download.bytes()).toString();
        }),
      );
      const expected: readonly unknown[] =
        outcome === 'moved'
          ? [undefined, 'moved']
          : outcome === 'not-applied'
            ? ['moved', 'old']
            : [a, 'moved'];
      expect([a, b]).toEqual(expected);
      await clock.settle(next.storage.close({ deadlineMs: 0 }));
    }
    expect(outcomes).toContain('not-applied');
    expect(outcomes).toContain('moved');
  },
);

test('a move whose removal cannot be made durable is unfinished: both keys have the object', async () => {
  const { storage, primary } = await openTestStorage();
  const target = await openTestStorage({ journal: { directory: '/other' } });
  await storage.upload('a', 'bytes');
  // The storage is closed between the two writes.
  const closing: Storage = {
    ...target.storage,
    async upload(...call) {
      const stored = await target.storage.upload(...call);
      await storage.close();
      return stored;
    },
    download: (...call) => target.storage.download(...call),
    remove: (...call) => target.storage.remove(...call),
    move: (...call) => target.storage.move(...call),
  };
  const moving = storage.move('a', 'b', { target: closing });
  await expect(moving).rejects.toMatchObject({
    code: 'STORAGE_MOVE_UNFINISHED',
    outcome: 'unknown',
    key: 'a',
    toKey: 'b',
    cause: { code: 'STORAGE_CLOSED' },
  });
  expect([textAt(primary, 'a'), textAt(target.primary, 'b')]).toEqual(['bytes', 'bytes']);
  await target.storage.close();
});
