import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createMemorySiteStore } from '../../src/publish/memory-store.ts';
import {
  type WebsitePublisher,
  createWebsitePublisher,
} from '../../src/publish/website-publisher.ts';
import { buildOf, faultyStore, stampOf } from './sites.ts';

const clock = createFakeClock();

function opened(): { store: ReturnType<typeof faultyStore>; website: WebsitePublisher } {
  const store = faultyStore(createMemorySiteStore());
  const website = createWebsitePublisher({
    store,
    clock,
    concurrency: 1,
    maxUploadAttempts: 1,
    removalGraceMs: 1_000,
  });
  return { store, website };
}

const one = { 'index.html': '<html>1</html>', 'a/index.html': '<html>1</html>', 'one.css': '1' };
const two = { 'index.html': '<html>2</html>', 'a/index.html': '<html>2</html>', 'two.css': '2' };

test('files come before the pages that need them, the start page last, removals after the grace', async () => {
  const { store, website } = opened();
  await website.publish(await buildOf(one), stampOf(1));
  store.written.length = 0;
  await website.publish(await buildOf(two), stampOf(2));
  const files = store.written.filter((key) => !key.startsWith('.holdfast'));
  expect(files).toEqual(['two.css', 'a/index.html', 'index.html']);
  await clock.advance(999);
  expect(await website.removeUnneeded()).toEqual({ removed: [], failed: [] });
  await clock.advance(1);
  expect(await website.removeUnneeded()).toEqual({ removed: ['one.css'], failed: [] });
  expect(await website.removeUnneeded()).toEqual({ removed: [], failed: [] });
});

test('a publish that failed is made whole by the next, and nothing is removed before', async () => {
  const { store, website } = opened();
  await website.publish(await buildOf(one), stampOf(1));
  store.faults.push({ on: 'put a/', kind: 'denied', times: 1 });
  expect(await website.publish(await buildOf(two), stampOf(2))).toMatchObject({ kind: 'failed' });
  await clock.advance(5_000);
  expect(await website.removeUnneeded()).toEqual({ removed: [], failed: [] });
  expect(await website.publish(await buildOf(two), stampOf(2))).toMatchObject({
    kind: 'published',
  });
  expect(String((await store.get('a/index.html'))?.body)).toBe('<html>2</html>');
});

test('an older build that comes last writes no file', async () => {
  const { store, website } = opened();
  await website.publish(await buildOf(two), stampOf(2));
  store.written.length = 0;
  expect(await website.publish(await buildOf(one), stampOf(1))).toEqual({ kind: 'superseded' });
  expect(store.written).toEqual([]);
});
