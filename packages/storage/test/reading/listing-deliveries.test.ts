import { expect, test } from '@jest/globals';
import type { Storage } from '../../src/storage.ts';
import { AWAY, openTestStorage, textAt } from '../open-storage.ts';

async function keysOf(storage: Storage): Promise<string[]> {
  const { objects } = await storage.list('');
  return objects.map(({ key }) => key);
}

test.each(['primary', 'mirror'] as const)(
  'a listing shows what is delivered while the %s makes its page',
  async (lister) => {
    const opened = await openTestStorage({ acknowledgeWithinMs: 0 });
    const { storage, clock, primary, mirror } = opened;
    await storage.upload('a', 'x');
    await storage.upload('removed', 'x');
    await clock.settle(storage.flush({ deadlineMs: 60_000 }));
    const isAway = { writes: true };
    primary.intercept = ({ kind }) =>
      (kind === 'list' ? lister === 'mirror' : isAway.writes) ? { before: AWAY } : undefined;
    mirror.intercept = ({ kind }) =>
      isAway.writes && kind !== 'list' ? { before: AWAY } : undefined;
    await storage.upload('b', 'later');
    await storage.upload('a', 'longer');
    await storage.remove('removed');
    const backend = opened[lister];
    const list = backend.list.bind(backend);
    const listing = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    backend.list = async (...given) => {
      const page = await list(...given);
      listing.resolve();
      await answer.promise;
      return page;
    };
    const listed = storage.list('');
    await listing.promise;
    isAway.writes = false;
    await clock.settle(storage.flush({ deadlineMs: 120_000 }));
    expect(textAt(backend, 'b')).toBe('later');
    answer.resolve();
    const { objects } = await listed;
    expect(objects.map(({ key, size }) => [key, size])).toEqual([
      ['a', 6],
      ['b', 5],
    ]);
    expect(await keysOf(storage)).toEqual(['a', 'b']);
    await storage.close();
  },
);
