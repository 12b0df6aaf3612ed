import { hash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import type { ListedObject, ObjectHead } from '../../src/backend.ts';
import { type CopyHead, LocalCopies } from '../../src/read/local-copies.ts';
import { ShownObjects } from '../../src/read/shown-objects.ts';
import { ReadEpochs } from '../../src/read/stale-reads.ts';

const { signal } = new AbortController();
const KNOWN_MS = 10_500;

async function open(pending: readonly string[] = []) {
  const local = new LocalCopies(createMemoryFileSystem(), {
    directory: '/local',
    maxBytes: 1_000_000,
    maxEntries: 100,
    maxCopyBytes: 1_000,
    epochMs: () => 0,
  });
  await local.open();
  const epochs = new ReadEpochs();
  const shown = new ShownObjects({
    local,
    epochs,
    clock: createFakeClock(),
    lives: { isOwn: (stamp) => stamp?.operationId.startsWith('own-') === true },
    primary: 'primary',
    isPending: (key) => pending.includes(key),
  });
  const copyOf = (key: string, text: string, more: Partial<CopyHead> = {}) => {
    const bytes = Buffer.from(text);
    const sha256 = hash('sha256', bytes, 'hex');
    const known = { contentType: '', metadata: {}, modifiedUntilEpochMs: KNOWN_MS };
    return { head: { key, sha256, ...known, ...more }, bytes };
  };
  const keep = async (key: string, text = 'text', more?: Partial<CopyHead>): Promise<void> => {
    const { head, bytes } = copyOf(key, text, more);
    await local.replace(head, bytes);
    await local.close();
  };
  const keys = async (): Promise<string[]> => {
    await local.close();
    return [...local.all()].map(({ key }) => key).toSorted();
  };
  return { local, epochs, shown, copyOf, keep, keys };
}

const head = (sha256: string, operationId = 'x-1', generation = 1): ObjectHead => ({
  key: 'k',
  size: 4,
  metadata: {},
  stamp: { operationId, generation, sha256 },
});
const SAME = hash('sha256', 'text', 'hex');

const listing = { prefix: '', after: undefined, since: 1_000, provesAbsence: true };
const listed = (key: string, more: Partial<ListedObject> = {}): ListedObject => ({ key, ...more });

test.each([
  ['as it is', { size: 4, lastModifiedEpochMs: KNOWN_MS }, true],
  ['without details', {}, true],
  ['with another size', { size: 5 }, false],
  ['modified later', { size: 4, lastModifiedEpochMs: KNOWN_MS + 1 }, false],
])('a copy whose object is listed %s', async (_, more, stays) => {
  const { shown, keep, keys } = await open();
  await keep('k');
  await shown.listed({ objects: [listed('k', more)] }, listing, signal);
  expect(await keys()).toEqual(stays ? ['k'] : []);
});

test.each([
  [10_999, true],
  [11_000, false],
])(
  'of a time in whole seconds the rest of the second counts as the same: %i',
  async (ms, stays) => {
    const { shown, keep, keys } = await open();
    await keep('k', 'text', { modifiedUntilEpochMs: 10_000 });
    const object = listed('k', { size: 4, lastModifiedEpochMs: ms });
    await shown.listed({ objects: [object] }, listing, signal);
    expect(await keys()).toEqual(stays ? ['k'] : []);
  },
);

test('a copy made since a listing began is behind only an object modified later', async () => {
  const { local, shown, keep, keys } = await open();
  const since = { ...listing, since: local.order };
  expect(shown.order).toBe(local.order);
  await keep('k');
  await shown.listed({ objects: [listed('k', { size: 9 })] }, since, signal);
  await shown.listed({ objects: [] }, since, signal);
  expect(await keys()).toEqual(['k']);
  const later = listed('k', { lastModifiedEpochMs: KNOWN_MS + 1 });
  await shown.listed({ objects: [later] }, since, signal);
  expect(await keys()).toEqual([]);
});

test('what a listing does not show is absent in its range alone, and where it proves that', async () => {
  const kept = async (page: object, range: object, pending: string[] = []): Promise<string[]> => {
    const { shown, keep, keys } = await open(pending);
    for (const key of ['a', 'b/1', 'b/2', 'b/3', 'c']) await keep(key);
    await shown.listed({ objects: [], ...page }, { ...listing, ...range }, signal);
    return keys();
  };
  const all = ['a', 'b/1', 'b/2', 'b/3', 'c'];
  expect(await kept({}, { provesAbsence: false })).toEqual(all);
  expect(await kept({}, {})).toEqual([]);
  expect(await kept({}, { prefix: 'b/' })).toEqual(['a', 'c']);
  expect(await kept({}, { prefix: 'b/', after: 'b/1' })).toEqual(['a', 'b/1', 'c']);
  const page = { objects: [listed('b/2', { size: 4 })], cursor: 'more' };
  expect(await kept(page, { prefix: 'b/' })).toEqual(['a', 'b/2', 'b/3', 'c']);
  expect(await kept({ cursor: 'more' }, {})).toEqual(all);
  // What waits here is later than what is listed.
  expect(await kept({}, {}, ['a'])).toEqual(['a']);
});

test('a read that shows another object, or none, removes the copy; the same one keeps it', async () => {
  for (const [seen, stays] of [
    [head(SAME), true],
    [head('other'), false],
    [undefined, false],
  ] as const) {
    const { shown, keep, keys } = await open();
    await keep('k');
    await shown.read(shown.begin('k'), 'mirror', seen, signal);
    expect(await keys()).toEqual(stays ? ['k'] : []);
  }
});

test('what is read from the primary is kept as a copy, and nothing of another backend', async () => {
  const { local, shown, copyOf, keys } = await open();
  const copied = copyOf('k', 'text');
  await shown.read(shown.begin('k'), 'mirror', head(SAME), signal, copied);
  expect(await keys()).toEqual([]);
  await shown.read(shown.begin('k'), 'primary', head(SAME), signal, copied);
  expect(await keys()).toEqual(['k']);
  const { order } = local;
  await shown.read(shown.begin('k'), 'primary', head(SAME), signal, copied);
  await keys();
  // It is there already.
  expect(local.order).toBe(order);
});

test('a read during which a write of ours was accepted is older than it, unless it shows another writer’s', async () => {
  const after = async (seen: ObjectHead, pending: string[] = []): Promise<string[]> => {
    const { epochs, shown, copyOf, keep, keys } = await open(pending);
    const epoch = shown.begin('k');
    epochs.invalidate('k');
    await keep('k', 'ours');
    await shown.read(epoch, 'primary', seen, signal, copyOf('k', 'text'));
    return keys();
  };
  expect(await after(head(SAME, 'own-1'))).toEqual(['k']);
  expect(await after(head(SAME), ['k'])).toEqual(['k']);
  expect(await after(head(SAME))).toEqual([]);
});

const at = (lastModifiedEpochMs: number, operationId: string): ObjectHead => ({
  ...head(`of ${operationId}`, operationId),
  lastModifiedEpochMs,
});

test.each<[string, ObjectHead | undefined, ObjectHead | undefined, string | undefined]>([
  ['the same write', head('fast', 'x-1'), head('fast', 'x-1'), 'fast'],
  ['a later write of one writer', head('slow', 'x-2', 2), head('fast', 'x-1', 1), 'slow'],
  ['an earlier write of one writer', head('slow', 'x-1', 1), head('fast', 'x-2', 2), 'fast'],
  ['a later one of another', at(2_000, 'x-1'), at(1_000, 'y-1'), 'of x-1'],
  ['an earlier one of another', at(1_000, 'x-1'), at(2_000, 'y-1'), 'of y-1'],
  ['one of the same time', at(1_000, 'x-1'), at(1_000, 'y-1'), undefined],
  ['one without a time', head('slow', 'x-1'), at(1_000, 'y-1'), undefined],
  ['none, and then none', undefined, undefined, undefined],
  ['one, and then none', undefined, head('fast', 'x-1'), undefined],
])('two reads at once: the slower shows %s', async (_, slow, fast, copy) => {
  const { local, epochs, shown, copyOf, keep, keys } = await open();
  const [slowly, fastly] = [shown.begin('k'), shown.begin('k')];
  await shown.read(fastly, 'primary', fast, signal);
  fastly.end();
  if (fast?.stamp !== undefined) await keep('k', 'fast', { sha256: fast.stamp.sha256 });
  const copied = slow?.stamp && copyOf('k', 'slow', { sha256: slow.stamp.sha256 });
  await shown.read(slowly, 'primary', slow, signal, copied);
  expect(await keys()).toEqual(copy === undefined ? [] : ['k']);
  expect(local.get('k')?.sha256).toBe(copy);
  slowly.end();
  expect([...epochs.keys]).toEqual([]);
});

test('two reads of different backends cannot be ordered by their times', async () => {
  const { shown, copyOf, keep, keys } = await open();
  const [slowly, fastly] = [shown.begin('k'), shown.begin('k')];
  await shown.read(fastly, 'mirror', at(1_000, 'y-1'), signal);
  await keep('k');
  await shown.read(slowly, 'primary', at(2_000, 'x-1'), signal, copyOf('k', 'text'));
  expect(await keys()).toEqual([]);
});

test('a read in progress is overtaken by a listing of its key, and by none of another', async () => {
  const { epochs, shown } = await open();
  const [one, other] = [shown.begin('k'), shown.begin('other')];
  const range = { ...listing, prefix: 'k' };
  await shown.listed({ objects: [listed('k', { size: 9 })] }, range, signal);
  expect(one.overtakenBy).toEqual({ backend: 'primary', object: { key: 'k', size: 9 } });
  expect(other.overtakenBy).toBeUndefined();
  expect(one.signal.aborted).toBe(false);
  epochs.invalidate('unknown');
  epochs.invalidate('k');
  expect([one.signal.aborted, other.signal.aborted]).toEqual([true, false]);
});

test('the end of one read does not end what another of the key in progress learns', async () => {
  const { epochs, shown } = await open();
  const [one, other] = [shown.begin('k'), shown.begin('k')];
  one.end();
  await shown.superseded('k', 'primary');
  expect([one.overtakenBy, other.overtakenBy?.backend]).toEqual([undefined, 'primary']);
  epochs.invalidate('k');
  expect([one.signal.aborted, other.signal.aborted]).toEqual([false, true]);
  // A read that ends twice ends no later one.
  other.end();
  const later = shown.begin('k');
  other.end();
  epochs.invalidate('k');
  expect(later.signal.aborted).toBe(true);
  later.end();
  expect([...epochs.keys]).toEqual([]);
});

test('what another writer put in the place of ours has no copy here', async () => {
  const { shown, keep, keys } = await open();
  await keep('k');
  await keep('other');
  const epoch = shown.begin('k');
  await shown.superseded('k', 'primary');
  expect(await keys()).toEqual(['other']);
  expect(epoch.overtakenBy).toEqual({ backend: 'primary', object: {} });
});
