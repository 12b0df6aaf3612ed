import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createMemorySiteStore } from '../../src/publish/memory-store.ts';
import { type Publisher, createPublisher } from '../../src/publish/publisher.ts';
import { buildOf, faultyStore, siteOf, stampOf } from './sites.ts';

function opened(): { store: ReturnType<typeof faultyStore>; publisher: Publisher } {
  const store = faultyStore(createMemorySiteStore());
  return { store, publisher: createPublisher({ store, retryDelayMs: 1, concurrency: 1 }) };
}

test('only changed content is uploaded, and each file has its result', async () => {
  const { store, publisher } = opened();
  await publisher.publish(await siteOf('one'), stampOf(1));
  store.written.length = 0;
  const second = await publisher.publish(await siteOf('two'), stampOf(2));
  expect(second).toMatchObject({
    kind: 'published',
    keys: expect.arrayContaining([
      { kind: 'present', path: 'same.txt' },
      { kind: 'uploaded', path: 'index.html', bytes: expect.any(Number) },
    ]),
  });
  expect(store.written.filter((key) => key.startsWith('objects/'))).toHaveLength(2);
  // The list and the pointer come last.
  expect(store.written.slice(-2)).toEqual([expect.stringMatching(/^releases\//), 'current.json']);
});

test('an older build that finishes last does not replace the newer', async () => {
  const { publisher } = opened();
  const older = await siteOf('older');
  const newer = await publisher.publish(await siteOf('newer'), stampOf(2));
  expect(await publisher.publish(older, stampOf(1))).toMatchObject({
    kind: 'superseded',
    by: { order: 2 },
  });
  expect(newer).toMatchObject({ release: (await publisher.current())?.release });
});

test('of two publishers of one moment the later commit wins, whoever writes first', async () => {
  for (const orders of [
    [1, 2],
    [2, 1],
  ]) {
    const { publisher } = opened();
    await publisher.publish(await siteOf('zero'), stampOf(0));
    await Promise.all(
      orders.map(async (order) => publisher.publish(await siteOf(`v${order}`), stampOf(order))),
    );
    expect(await publisher.current()).toMatchObject({ order: 2 });
  }
});

test('a worker whose run was taken over publishes nothing any more', async () => {
  const { publisher } = opened();
  await publisher.publish(await siteOf('one'), stampOf(1, { run: 'r', fence: 2n }));
  await expect(
    publisher.publish(await siteOf('zombie'), stampOf(2, { run: 'r', fence: 1n })),
  ).rejects.toMatchObject({ code: 'PUBLISHER_STALE_FENCE' });
});

test('a rollback is one write, and an older commit does not undo it', async () => {
  const { store, publisher } = opened();
  const first = await publisher.publish(await siteOf('one'), stampOf(1));
  await publisher.publish(await siteOf('two'), stampOf(2));
  store.written.length = 0;
  expect(await publisher.rollback()).toMatchObject(
    first.kind === 'published' ? { release: first.release, order: 2 } : {},
  );
  expect(store.written).toEqual(['current.json']);
  expect(await publisher.publish(await siteOf('late'), stampOf(1))).toMatchObject({
    kind: 'superseded',
  });
  expect(await publisher.publish(await siteOf('three'), stampOf(3))).toMatchObject({
    kind: 'published',
  });
  await expect(publisher.rollback({ release: 'f'.repeat(64) })).rejects.toMatchObject({
    code: 'PUBLISHER_RELEASE_MISSING',
  });
});

test('a permission that is lost in the middle leaves the old site, and its return completes the new', async () => {
  const { store, publisher } = opened();
  await publisher.publish(await siteOf('one'), stampOf(1));
  const before = await publisher.current();
  const build = await buildOf({ 'index.html': '<html></html>', 'a.txt': 'a', 'b.txt': 'b' });
  store.faults.push({ on: 'put objects/', kind: 'denied', times: Infinity });
  const refused = await publisher.publish(build, stampOf(2));
  expect(refused).toMatchObject({ kind: 'failed', error: { kind: 'denied' } });
  // It is denied once, not once for each file.
  expect(refused.kind === 'failed' && refused.keys.map(({ kind }) => kind)).toEqual([
    'failed',
    'failed',
    'failed',
  ]);
  expect(store.written.filter((key) => key.startsWith('objects/'))).toHaveLength(3);
  expect(await publisher.current()).toEqual(before);
  store.faults.length = 0;
  expect(await publisher.publish(build, stampOf(2))).toMatchObject({ kind: 'published' });
});

test('a pointer whose response was lost counts as written', async () => {
  const { store, publisher } = opened();
  store.faults.push({ on: 'put current', kind: 'network', isApplied: true, times: 1 });
  expect(await publisher.publish(await siteOf('one'), stampOf(1))).toMatchObject({
    kind: 'published',
  });
  expect(store.written.filter((key) => key === 'current.json')).toHaveLength(1);
});

test('an upload that fails for a moment is tried again', async () => {
  const { store, publisher } = opened();
  store.faults.push({ on: 'put objects/', kind: 'unavailable', times: 2 });
  expect(await publisher.publish(await siteOf('one'), stampOf(1))).toMatchObject({
    kind: 'published',
  });
});

test('only what was verified is published, and only as it was verified', async () => {
  const { publisher } = opened();
  const build = await siteOf('one');
  await expect(publisher.publish({ ...build }, stampOf(1))).rejects.toMatchObject({
    code: 'PUBLISHER_BUILD_NOT_VERIFIED',
  });
  await writeFile(join(build.directory, 'index.html'), 'changed afterwards');
  await expect(publisher.publish(build, stampOf(1))).rejects.toMatchObject({
    code: 'PUBLISHER_BUILD_NOT_VERIFIED',
  });
  expect(await publisher.current()).toBeUndefined();
});
