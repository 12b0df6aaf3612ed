import { expect, test } from '@jest/globals';
import { openTestStorage, textAt } from '../open-storage.ts';

const never = (): Promise<never> => new Promise(() => {});

/** Bodies that begin, or do not, and then hang; `reading` resolves once one is read. */
const bodies: readonly [
  name: string,
  open: (reading: () => void) => () => Promise<never> | AsyncGenerator<Uint8Array>,
][] = [
  [
    'opens and never gives a chunk',
    (reading) =>
      async function* () {
        reading();
        yield await never();
      },
  ],
  [
    'hangs after its first chunk',
    (reading) =>
      async function* () {
        yield Buffer.alloc(10);
        reading();
        await never();
      },
  ],
  [
    'never opens',
    (reading) => () => {
      reading();
      return never();
    },
  ],
];

test.each(bodies)(
  'a body that %s ends with its signal, and the next write of the key proceeds',
  async (_name, open) => {
    const { storage, primary, clock } = await openTestStorage();
    const leaving = new AbortController();
    const reason = new Error('leaving');
    let failure: Promise<unknown> = never();
    await new Promise<void>((resolve) => {
      const options = { signal: leaving.signal };
      failure = storage.upload('a', open(resolve), options).catch((error: unknown) => error);
    });
    leaving.abort(reason);
    expect(await failure).toBe(reason);
    await clock.settle(storage.upload('a', 'next'));
    expect(textAt(primary, 'a')).toBe('next');
    expect(storage.pending()).toEqual([]);
    await clock.settle(storage.close());
  },
);

test.each(bodies)('a body that %s ends when the storage is closed', async (_name, open) => {
  const { storage, clock } = await openTestStorage();
  let failure: Promise<unknown> = never();
  await new Promise<void>((resolve) => {
    failure = storage.upload('a', open(resolve)).catch((error: unknown) => error);
  });
  await clock.settle(storage.close());
  expect(await failure).toMatchObject({ code: 'STORAGE_CLOSED' });
});
