import { expect, test } from '@jest/globals';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import type { WriteStamp } from '../../src/backend.ts';
import { WriterLives, beginLife } from '../../src/journal/lives.ts';

const [OLD, LATER, NOW] = ['0000000000000001', '0000000000000002', 'ffffffffffffffff'];

function open(earlier: Record<string, number> = {}, knownUpTo: number | undefined = 100) {
  const bounds = new Map(Object.entries(earlier));
  return new WriterLives({ writerId: 'w-1', nonce: NOW, earlier: bounds, knownUpTo });
}

const stamp = (operationId: string, generation = 1): WriteStamp => ({
  operationId,
  generation,
  sha256: '',
});

test('an operation tells its writer, its life and its number', () => {
  const lives = open();
  const id = lives.operationId(36);
  expect(id).toBe(`w-1-${NOW}-10`);
  expect(lives.isOfThisLife({ id })).toBe(true);
  expect(lives.isOfThisLife({ id: `w-1-${OLD}-10` })).toBe(false);
});

test.each([
  ['no stamp', undefined, false],
  ['one of this life', stamp(`w-1-${NOW}-5`, 500), true],
  ['one of another writer', stamp(`w-2-${NOW}-5`), false],
  ['one of a release without lives', stamp('w-1-5'), true],
  ['the last one known of an earlier life', stamp(`w-1-${OLD}-5`, 50), true],
  ['a later one of an earlier life, by a copy of the directory', stamp(`w-1-${OLD}-5`, 51), false],
  ['one of a life that is not known', stamp(`w-1-${LATER}-5`, 1), false],
])('whether a write is ours: %s', (_, given, expected) => {
  expect(open({ [OLD]: 50 }).isOwn(given)).toBe(expected);
});

test('a history names the latest lives, each with its last write', () => {
  expect(open().history(36)).toBe(`${NOW}.10`);
  const many = Object.fromEntries(
    Array.from({ length: 30 }, (_, life) => [life.toString(16).padStart(16, '0'), life]),
  );
  const lives = open(many).history(1).split(',');
  expect(lives).toHaveLength(24);
  expect(lives.slice(-2)).toEqual([`${(29).toString(16).padStart(16, '0')}.t`, `${NOW}.1`]);
});

test('two copies share what both know of the latest life that both have', () => {
  const ours = open({ [OLD]: 50, [LATER]: 80 });
  // Theirs went on from the later life, or knows less of it.
  expect(ours.sharedUpTo(`${OLD}.1e,${LATER}.2s`)).toBe(80);
  expect(ours.sharedUpTo(`${OLD}.1e,${LATER}.1y`)).toBe(70);
  expect(ours.sharedUpTo(`${OLD}.1`)).toBe(1);
  expect(ours.sharedUpTo(`${OLD}.zz`)).toBe(50);
  // A copy of this life shares what the journal had when it began.
  expect(ours.sharedUpTo(`${NOW}.zz`)).toBe(100);
  expect(ours.sharedUpTo(`${NOW}.1`)).toBe(1);
  // Where it cannot be told, all that came before this life.
  expect(ours.sharedUpTo(undefined)).toBe(100);
  expect(ours.sharedUpTo('damaged')).toBe(100);
  expect(open({}, undefined).sharedUpTo(undefined)).toBe(100);
});

test('each life of a directory knows those before it, and the last write of each', async () => {
  const files = createMemoryFileSystem();
  await files.makeDirectory('/d');
  const first = await beginLife(files, '/d', undefined);
  expect(first.earlier.size).toBe(0);
  expect(first.nonce).toMatch(/^[0-9a-f]{16}$/);
  const second = await beginLife(files, '/d', 40);
  expect([...second.earlier]).toEqual([[first.nonce, 40]]);
  const third = await beginLife(files, '/d', 70);
  expect([...third.earlier]).toEqual([
    [first.nonce, 40],
    [second.nonce, 70],
  ]);
  // What the journal does not prove any more is not bounded.
  const fourth = await beginLife(files, '/d', undefined);
  expect([...fourth.earlier].at(-1)).toEqual([third.nonce, Infinity]);
  expect(new Set([first, second, third, fourth].map(({ nonce }) => nonce)).size).toBe(4);
});

test('a damaged line of the file is a life that is not known, the others stay', async () => {
  const files = createMemoryFileSystem();
  await files.makeDirectory('/d');
  const { nonce } = await beginLife(files, '/d', undefined);
  const file = await files.open('/d/lives', 'write');
  await file.write(Buffer.from('\nnot a life\n0000000000000009.!'), 16);
  await file.close();
  const { earlier } = await beginLife(files, '/d', 9);
  expect([...earlier]).toEqual([[nonce, 9]]);
});
