import { expect, test } from '@jest/globals';
import type { Body } from '../../src/object/body.ts';
import type { Storage } from '../../src/storage.ts';
import { AWAY, openTestStorage, textAt } from '../open-storage.ts';

type Objects = Map<string, string>;

/** A call on the keys `a` and `b`, and what it does to a storage that makes one call at a time. */
interface Call {
  readonly name: string;
  readonly make: (storage: Storage) => Promise<unknown>;
  /** False when the call fails. */
  readonly apply: (objects: Objects) => boolean;
}

const LARGE = 'large'.repeat(1_000);

async function* slowly(text: string): AsyncGenerator<Uint8Array> {
  for (const chunk of text.match(/.{1,2000}/g) ?? []) {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    yield Buffer.from(chunk);
  }
}

const bodies: readonly [string, string, () => Body][] = [
  ['a string', 'string', () => 'string'],
  ['a large string', LARGE, () => LARGE],
  ['bytes', 'bytes', () => Buffer.from('bytes')],
  ['a Blob', 'blob', () => new Blob(['blob'])],
  ['a stream', 'stream', () => () => slowly('stream')],
  ['a large stream', `1${LARGE}`, () => () => slowly(`1${LARGE}`)],
];

const uploads = bodies.flatMap(([kind, text, body], index) =>
  (index % 2 === 1 ? ['a', 'b'] : ['a']).map((key): Call => ({
    name: `upload(${key}) of ${kind}`,
    make: (storage) => storage.upload(key, body()),
    apply: (objects) => objects.set(key, text).has(key),
  })),
);
const removals = ['a', 'b'].map((key): Call => ({
  name: `remove(${key})`,
  make: (storage) => storage.remove(key),
  apply(objects) {
    objects.delete(key);
    return true;
  },
}));
const transfers = (['copy', 'move'] as const).flatMap((verb) =>
  ['a', 'b'].flatMap((from) =>
    ['a', 'b', 'c'].map((to): Call => ({
      name: `${verb}(${from}, ${to})`,
      make: (storage) => storage[verb](from, to),
      apply(objects) {
        const text = objects.get(from);
        if (text === undefined) return false;
        if (verb === 'move') objects.delete(from);
        objects.set(to, text);
        return true;
      },
    })),
  ),
);
const calls = [...uploads, ...removals, ...transfers];

/** Large bodies are in files, and downloads of them are streams. */
const small = { inlineBytes: 1_024, verifyWholeBytes: 1_024 };

/** What is there before: a short object and a long one. */
const before = { a: 'old a', b: `old b ${LARGE}` };

async function expectInOrder(storage: Storage, made: readonly Call[]): Promise<string[]> {
  const objects: Objects = new Map(Object.entries(before));
  const expected = made.map(({ apply }) => (apply(objects) ? 'fulfilled' : 'rejected'));
  const results = await Promise.allSettled(made.map(({ make }) => make(storage)));
  const wrong: string[] = [];
  for (const [index, { status }] of results.entries()) {
    if (status !== expected[index]) wrong.push(`call ${index + 1} is ${status}`);
  }
  for (const key of ['a', 'b', 'c']) {
    const download = await storage.download(key).catch(() => undefined);
    const text = download && Buffer.from(await download.bytes()).toString();
    if (text !== objects.get(key)) {
      wrong.push(`${key} is ${text?.slice(0, 9)}, not ${objects.get(key)?.slice(0, 9)}`);
    }
  }
  return wrong.map((what) => `${made.map(({ name }) => name).join(', ')}: ${what}`);
}

async function reset(storage: Storage): Promise<void> {
  for (const [key, text] of Object.entries(before)) await storage.upload(key, text);
  await storage.remove('c');
}

test.each(['up', 'away'] as const)(
  'two calls of one tick take effect in their order, while the backends are %s',
  async (servers) => {
    const { storage, clock, primary, mirror } = await openTestStorage(small);
    if (servers === 'away') {
      for (const backend of [primary, mirror]) backend.intercept = () => ({ before: AWAY });
    }
    const wrong: string[] = [];
    for (const first of calls) {
      for (const second of calls) {
        await clock.settle(reset(storage));
        wrong.push(...(await clock.settle(expectInOrder(storage, [first, second]))));
      }
    }
    expect(wrong).toEqual([]);
    for (const backend of [primary, mirror]) backend.intercept = () => undefined;
    expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
    for (const key of ['a', 'b', 'c']) {
      const download = await storage.download(key).catch(() => undefined);
      const text = download && Buffer.from(await download.bytes()).toString();
      for (const backend of [primary, mirror]) expect(textAt(backend, key)).toBe(text);
    }
    await storage.close();
  },
);

test('three calls of one tick take effect in their order', async () => {
  const { storage, clock } = await openTestStorage(small);
  const first = calls.filter(({ name }) =>
    /^(move\(., .\)|upload\(a\) of a large stream)$/.test(name),
  );
  const others = calls.filter(({ name }) =>
    /^(move|copy\(a|remove|upload\(a\) of bytes)/.test(name),
  );
  const wrong: string[] = [];
  for (const [index, call] of first.entries()) {
    for (const second of others) {
      // Every third pair of the two that follow: each with each of them within the first three.
      for (const third of others.filter((_, at) => at % 3 === index % 3)) {
        await clock.settle(reset(storage));
        wrong.push(...(await clock.settle(expectInOrder(storage, [call, second, third]))));
      }
    }
  }
  expect(wrong).toEqual([]);
  await storage.close();
});
