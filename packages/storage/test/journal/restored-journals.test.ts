import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { isMarkKey } from '../../src/replication/removal-marks.ts';
import { AWAY, DENIED, type TestStorage, openTestStorage, textAt } from '../open-storage.ts';
import { QUEUED, away, closed, copied, copyOf, flushed } from './copies.ts';

const lives = [
  ['one life older', true],
  ['of the same life', false],
] as const;

/** What the original does to the key after the copy was made. */
const successors: [string, (one: TestStorage) => Promise<unknown>, string | undefined][] = [
  ['overwritten', ({ storage }) => storage.upload('k', 'new'), 'new'],
  ['removed', ({ storage }) => storage.remove('k'), undefined],
  [
    'removed and written again',
    async ({ storage }) => {
      await storage.remove('k');
      await storage.upload('k', 'again');
    },
    'again',
  ],
];

const stories = lives.flatMap(([copy, later]) =>
  successors.map(([what, change, kept]) => [what, copy, change, kept, later] as const),
);

test.each(stories)(
  'a key that was %s since: the copy of a journal, %s, brings nothing back, and loses nothing',
  async (_what, _copy, change, kept, oneLifeLater) => {
    const { original, openCopy } = await copied(oneLifeLater);
    away(original, false);
    await flushed(original);
    await change(original);
    await flushed(original);
    await closed(original);
    const copy = await openCopy(QUEUED);
    const conflicts: string[] = [];
    copy.storage.on('conflict', ({ resolution }) => conflicts.push(resolution));
    await flushed(copy);
    for (const backend of [copy.primary, copy.mirror]) expect(textAt(backend, 'k')).toBe(kept);
    expect(new Set(conflicts)).toEqual(new Set(['keep-both']));
    // The bytes of the older write are kept beside.
    const beside = [...copy.primary.objects.keys()].filter((key) => key.startsWith('.conflicts/'));
    expect(beside.map((key) => textAt(copy.primary, key))).toEqual(['old']);
    const { objects } = await copy.clock.settle(copy.storage.list(''));
    expect(objects.some(({ key }) => isMarkKey(key))).toBe(false);
    await closed(copy);
  },
);

test.each([
  ['remote-wins', undefined],
  ['local-wins', 'old'],
  ['refuse', undefined],
] as const)('with %s, a removed key is %s after a copy was opened', async (conflicts, kept) => {
  const { original, openCopy } = await copied(true);
  away(original, false);
  await flushed(original);
  await original.storage.remove('k');
  await flushed(original);
  await closed(original);
  const copy = await openCopy({ ...QUEUED, conflicts });
  await copy.clock.settle(copy.storage.flush({ deadlineMs: 600_000 }));
  expect(textAt(copy.primary, 'k')).toBe(kept);
  expect(copy.storage.pending().map(({ refused }) => refused?.kind)).toEqual(
    conflicts === 'refuse' ? ['conflict'] : [],
  );
  await closed(copy);
});

test('a write that waited when the copy was made, and that nobody has delivered, is delivered by the copy', async () => {
  const { original, openCopy } = await copied(true);
  await closed(original);
  away(original, false);
  const copy = await openCopy(QUEUED);
  await flushed(copy);
  expect(textAt(copy.primary, 'k')).toBe('old');
  expect(copy.storage.getStats().conflicts).toBe(0);
  await closed(copy);
});

test('of two clones at once neither takes the other’s write for its own, and every acknowledged write is kept', async () => {
  const base = await openTestStorage(QUEUED);
  await base.clock.settle(base.storage.upload('k', 'base', { acknowledgeWithinMs: 5_000 }));
  await closed(base);
  const [openOne, openOther] = [copyOf(base), copyOf(base)];
  const [one, other] = [await openOne(QUEUED), await openOther(QUEUED)];
  away(one, true);
  // The same key, in the same order: without an identity of each life, the same generation and id.
  const first = await one.storage.upload('k', 'one');
  const second = await other.storage.upload('k', 'other');
  expect(first.operationId).not.toBe(second.operationId);
  await one.storage.upload('only one', '1');
  await other.storage.upload('only other', '2');
  await one.clock.advance(30_000);
  away(one, false);
  await flushed(one);
  await flushed(other);
  const texts = [...one.primary.objects.keys()].map((key) => textAt(one.primary, key));
  for (const kept of ['one', 'other', '1', '2']) expect(texts).toContain(kept);
  await closed(one);
  await closed(other);
});

test('after an ordinary restart nothing is a conflict, whatever was written and removed before', async () => {
  let one = await openTestStorage(QUEUED);
  for (let life = 0; life < 3; life += 1) {
    away(one, false);
    await one.storage.upload('k', `settled ${life}`);
    await one.storage.upload('gone', 'x');
    await flushed(one);
    await one.storage.remove('gone');
    await flushed(one);
    away(one, true);
    await one.storage.upload('k', `waiting ${life}`);
    await one.storage.upload('new', `waiting ${life}`);
    await one.clock.advance(6_000);
    one = await one.restart();
    away(one, false);
    await flushed(one);
    expect(one.storage.getStats().conflicts).toBe(0);
    expect([textAt(one.primary, 'k'), textAt(one.mirror, 'new')]).toEqual([
      `waiting ${life}`,
      `waiting ${life}`,
    ]);
  }
  await closed(one);
});

test('where no mark may be written, removals go on', async () => {
  const one = await openTestStorage();
  one.primary.intercept = ({ key, kind }) =>
    kind === 'put' && isMarkKey(key) ? { before: DENIED } : undefined;
  await one.clock.settle(one.storage.upload('a', 'x'));
  expect(await one.clock.settle(one.storage.remove('a'))).toMatchObject({ stored: 'primary' });
  expect(one.storage.health().level).toBe('healthy');
  await closed(one);
});

test('the lives of a directory are remembered, and a damaged list makes conflicts, not losses', async () => {
  const one = await openTestStorage(QUEUED);
  await one.storage.upload('k', 'first');
  await flushed(one);
  await closed(one);
  const { clock, primary, mirror } = one;
  const files = one.files.crash('kill', seededRandom(1));
  files.content('lives').fill(0);
  const next = await openTestStorage(QUEUED, { clock, files, primary, mirror });
  away(next, true);
  await next.storage.upload('k', 'second');
  await clock.advance(30_000);
  away(next, false);
  await flushed(next);
  expect(textAt(primary, 'k')).toBe('second');
  await closed(next);
});

test.each([
  ['this', false],
  ['an earlier', true],
])(
  'what a restored journal accepts itself is no conflict after its next restart, where objects were removed by %s release',
  async (_, isEarlier) => {
    const { original, openCopy } = await copied(true);
    away(original, false);
    await flushed(original);
    await original.storage.remove('settled');
    await original.storage.remove('k');
    await flushed(original);
    await closed(original);
    if (isEarlier) {
      for (const { objects } of [original.primary, original.mirror]) {
        for (const [key, { head, bytes }] of objects) {
          // It stated no lives.
          if (isMarkKey(key)) objects.set(key, { head: { ...head, metadata: {} }, bytes });
        }
      }
    }
    let copy = await openCopy(QUEUED);
    await copy.storage.remove('elsewhere');
    await flushed(copy);
    expect(copy.storage.getStats().conflicts).toBe(2);
    away(copy, true);
    await copy.storage.upload('fresh', 'x');
    await copy.storage.upload('k', 'mine');
    await copy.clock.advance(6_000);
    copy = await copy.restart();
    away(copy, false);
    await flushed(copy);
    expect(copy.storage.getStats().conflicts).toBe(0);
    expect([textAt(copy.primary, 'fresh'), textAt(copy.mirror, 'k')]).toEqual(['x', 'mine']);
    await closed(copy);
  },
);

test('a mark of another life is not forgotten when this one marks a removal of its own', async () => {
  const { original, openCopy } = await copied(true);
  away(original, false);
  await flushed(original);
  await original.storage.remove('k');
  await flushed(original);
  await closed(original);
  // The waiting write of `k` is held up, while another key is removed.
  for (const backend of [original.primary, original.mirror]) {
    backend.intercept = ({ key }) => (key === 'k' ? { before: AWAY } : undefined);
  }
  let copy = await openCopy(QUEUED);
  await copy.storage.remove('settled');
  await copy.clock.advance(20_000);
  copy = await copy.restart();
  away(copy, false);
  await flushed(copy);
  expect(textAt(copy.primary, 'k')).toBeUndefined();
  expect(textAt(copy.mirror, 'k')).toBeUndefined();
  await closed(copy);
});

test('writes of a copy made while a life went on are not taken for one’s own after a later restart', async () => {
  const { original, openCopy } = await copied(false);
  const copy = await openCopy(QUEUED);
  await copy.storage.upload('other', 'copy');
  await copy.clock.advance(10_000);
  await closed(copy);
  away(original, false);
  // Of the very life that the copy knows, later than the copy.
  await original.storage.upload('other', 'original');
  await flushed(original);
  await closed(original);
  const { files, clock, primary, mirror } = copy;
  const next = await openTestStorage(QUEUED, { files, clock, primary, mirror });
  await flushed(next);
  const texts = [...next.primary.objects.keys()].map((key) => textAt(next.primary, key));
  expect(texts).toEqual(expect.arrayContaining(['copy', 'original']));
  expect(next.storage.getStats().conflicts).toBeGreaterThan(0);
  await closed(next);
});
