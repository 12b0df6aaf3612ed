import { expect, test } from '@jest/globals';
import type { ObjectHead, WriteStamp } from '../src/backend.ts';
import { type RemoteObject, conflictCopyKey, conflictOf, resolutionOf } from '../src/conflicts.ts';
import { WriterLives } from '../src/journal/lives.ts';
import type { Operation } from '../src/journal/operation.ts';
import type { ConflictPolicy } from '../src/options.ts';
import type { Conflict } from '../src/storage.ts';

const lives = new WriterLives({ writerId: 'w', nonce: 'now', earlier: new Map(), knownUpTo: 0 });
const GENERATION = 10;
const operation: Operation = {
  kind: 'put',
  key: 'k',
  id: lives.operationId(GENERATION),
  generation: GENERATION,
  acceptedAtEpochMs: 5,
  size: 1,
  sha256: '',
  contentType: '',
  maxAgeSeconds: 0,
  metadata: {},
};
const head = (more: Partial<ObjectHead> = {}): ObjectHead => ({
  key: 'k',
  size: 7,
  metadata: {},
  ...more,
});
const stamp = (generation: number, id = lives.operationId(generation)): WriteStamp => ({
  operationId: id,
  generation,
  sha256: '',
});
const conflict = (remote: RemoteObject): Conflict | undefined =>
  conflictOf(operation, remote, { backend: 'primary', ageMs: 3, epochMs: 9_000, lives });

test.each([
  ['nothing', { head: undefined }, false],
  ['nothing, removed elsewhere', { head: undefined, isRemovedElsewhere: true }, true],
  ['another writer’s object', { head: head() }, true],
  ['an earlier write of ours', { head: head({ stamp: stamp(GENERATION - 1) }) }, false],
  ['the same write', { head: head({ stamp: stamp(GENERATION) }) }, false],
  ['a later write of ours', { head: head({ stamp: stamp(GENERATION + 1) }) }, true],
  ['an earlier write of another', { head: head({ stamp: stamp(1, 'x-now-1') }) }, true],
])('in the place of a write there is %s: conflict %#', (_, remote, isOne) => {
  expect(conflict(remote) !== undefined).toBe(isOne);
});

test('a conflict tells both sides, the age of theirs by the clock of the backend', () => {
  const known = { version: 'v', lastModifiedEpochMs: 1_000, servedAtEpochMs: 4_000 };
  expect(conflict({ head: head(known) })).toEqual({
    backend: 'primary',
    path: 'k',
    operationId: operation.id,
    kind: 'put',
    acceptedAtEpochMs: 5,
    ageMs: 3,
    theirs: { size: 7, version: 'v', lastModifiedEpochMs: 1_000, ageMs: 3_000 },
  });
  // Without one, by the clock of this machine.
  expect(conflict({ head: head({ lastModifiedEpochMs: 1_000 }) })?.theirs.ageMs).toBe(8_000);
  expect(conflict({ head: head() })?.theirs).toEqual({ size: 7 });
  const gone = conflict({ head: undefined, isRemovedElsewhere: true });
  expect(gone?.theirs).toEqual({ size: 0, removed: true });
});

function between(ageMs: number, theirs: Partial<Conflict['theirs']>): Conflict {
  const { id: operationId, kind, acceptedAtEpochMs } = operation;
  const ours = { backend: 'primary', path: 'k', operationId, kind, acceptedAtEpochMs, ageMs };
  return { ...ours, theirs: { size: 1, ...theirs } };
}

test.each([
  ['keep-both', 'keep-both'],
  ['remote-wins', 'theirs'],
  ['local-wins', 'ours'],
  ['refuse', 'refuse'],
] satisfies [ConflictPolicy, string][])('%s is %s, whoever was later', async (policy, expected) => {
  for (const ageMs of [0, 10_000]) {
    expect(await resolutionOf(policy, between(5_000, { ageMs }))).toBe(expected);
  }
});

test.each([
  ['theirs is older by a second', { ageMs: 6_000 }, 'ours'],
  ['theirs is older by less than a second', { ageMs: 5_999 }, 'keep-both'],
  ['theirs is newer', { ageMs: 0 }, 'keep-both'],
  ['the age of theirs is not known', {}, 'ours'],
  ['theirs is a removal', { removed: true as const }, 'keep-both'],
])('latest-wins where %s', async (_, theirs, expected) => {
  expect(await resolutionOf('latest-wins', between(5_000, theirs))).toBe(expected);
});

test('a callback decides, and without a valid resolution nothing is overwritten or lost', async () => {
  for (const resolution of ['ours', 'theirs', 'keep-both', 'refuse'] as const) {
    expect(await resolutionOf(() => resolution, between(0, {}))).toBe(resolution);
    expect(await resolutionOf(async () => resolution, between(0, {}))).toBe(resolution);
  }
  const invalid = [() => 'mine', between(0, {})];
  expect(await Reflect.apply(resolutionOf, undefined, invalid)).toBe('refuse');
});

test('the copy of a write that lost has a key of its own', () => {
  expect(conflictCopyKey({ key: 'a/b', id: 'id' }, [])).toBe('.conflicts/a/b.id');
});
