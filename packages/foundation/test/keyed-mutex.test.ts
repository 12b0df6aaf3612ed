import { expect, test } from '@jest/globals';
import { KeyedMutex } from '@holdfast/foundation';

function later(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

test('work with one key runs one after the other, in the order of the calls', async () => {
  const mutex = new KeyedMutex();
  const first = later();
  const order: string[] = [];
  const runs = [
    mutex.run('a', async () => {
      order.push('first starts');
      await first.promise;
      order.push('first ends');
    }),
    mutex.run('a', async () => void order.push('second')),
    mutex.run('a', async () => void order.push('third')),
  ];
  first.resolve();
  await Promise.all(runs);
  expect(order).toEqual(['first starts', 'first ends', 'second', 'third']);
});

test('keys do not wait for each other', async () => {
  const mutex = new KeyedMutex();
  const first = later();
  const waiting = mutex.run('a', () => first.promise);
  expect(await mutex.run('b', async () => 'done')).toBe('done');
  first.resolve();
  await waiting;
});

test('work that fails rejects its own call only, and the next one starts', async () => {
  const mutex = new KeyedMutex();
  const broken = new Error('broken');
  const failing = mutex.run('a', () => Promise.reject(broken));
  const next = mutex.run('a', async () => 'done');
  await expect(failing).rejects.toBe(broken);
  expect(await next).toBe('done');
});
