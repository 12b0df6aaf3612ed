import { expect, test } from '@jest/globals';
import type { StorageBucket } from '../../src/supabase-compat/bucket.ts';
import { storageClient } from '../../src/supabase-compat/client.ts';
import { AWAY, openTestStorage } from '../open-storage.ts';

type Objects = Map<string, string>;

/** A call of the facade, and what it does when calls are made one after the other. */
interface Call {
  readonly name: string;
  readonly make: (bucket: StorageBucket) => Promise<unknown>;
  readonly apply: (objects: Objects) => void;
}

const put = (verb: 'upload' | 'update', key: string): Call => ({
  name: `${verb}(${key})`,
  make: (bucket) => bucket[verb](key, `${verb} ${key}`, { upsert: true }),
  apply: (objects) => void objects.set(key, `${verb} ${key}`),
});
const transfer = (verb: 'copy' | 'move', from: string, to: string): Call => ({
  name: `${verb}(${from}, ${to})`,
  make: (bucket) => bucket[verb](from, to, { upsert: true }),
  apply(objects) {
    const text = objects.get(from);
    if (text === undefined) return;
    if (verb === 'move') objects.delete(from);
    objects.set(to, text);
  },
});
const calls: readonly Call[] = [
  put('upload', 'a'),
  put('update', 'b'),
  {
    name: 'upload(a) of a stream',
    make: (bucket) => bucket.upload('a', new Blob(['stream']).stream(), { upsert: true }),
    apply: (objects) => void objects.set('a', 'stream'),
  },
  ...[['a'], ['b', 'a']].map((keys): Call => ({
    name: `remove(${keys.join(', ')})`,
    make: (bucket) => bucket.remove(keys),
    apply: (objects) => keys.forEach((key) => objects.delete(key)),
  })),
  ...(['copy', 'move'] as const).flatMap((verb) => [
    transfer(verb, 'a', 'b'),
    transfer(verb, 'b', 'a'),
    transfer(verb, 'a', 'a'),
    transfer(verb, 'b', 'c'),
  ]),
];

test.each(['up', 'away'] as const)(
  'calls of one tick take effect in their order, while the backends are %s',
  async (servers) => {
    const { storage, clock, primary, mirror } = await openTestStorage({ acknowledgeWithinMs: 0 });
    // Calls through another client are in the same line.
    const [bucket, other] = [0, 1].map(() => storageClient({ avatars: storage }).from('avatars'));
    if (bucket === undefined || other === undefined) throw new RangeError('no bucket');
    if (servers === 'away') {
      for (const backend of [primary, mirror]) backend.intercept = () => ({ before: AWAY });
    }
    const wrong: string[] = [];
    for (const first of calls) {
      for (const second of calls) {
        await clock.settle(
          Promise.all([storage.upload('a', 'old a'), storage.upload('b', 'old b')]),
        );
        await clock.settle(storage.remove('c'));
        const objects: Objects = new Map([
          ['a', 'old a'],
          ['b', 'old b'],
        ]);
        for (const { apply } of [first, second, first]) apply(objects);
        const made = [first.make(bucket), second.make(other), first.make(bucket)];
        await clock.settle(Promise.all(made));
        for (const key of ['a', 'b', 'c']) {
          const download = await storage.download(key).catch(() => undefined);
          const text = download && Buffer.from(await download.bytes()).toString();
          if (text === objects.get(key)) continue;
          wrong.push(`${first.name}, ${second.name}, ${first.name}: ${key} is ${text}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    await clock.settle(storage.close());
  },
);

test('a removal of more paths than are removed at once keeps the place of each', async () => {
  const { storage, clock } = await openTestStorage();
  const bucket = storageClient({ avatars: storage }).from('avatars');
  const keys = Array.from({ length: 70 }, (_, index) => `k${index}`);
  const removed = bucket.remove([...keys, 'k0']);
  const uploaded = keys.map((key) => bucket.upload(key, 'later', { upsert: true }));
  await clock.settle(Promise.all([removed, ...uploaded]));
  const { objects } = await storage.list('');
  expect(objects.length).toBe(70);
  await clock.settle(storage.close());
});
