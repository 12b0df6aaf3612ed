import { expect, test } from '@jest/globals';
import { backupNames, bundlesOf, manifestOf, openFixture, readNewest } from '../bundles.ts';

const first = { token: 1, generation: 1 };

test.each([0, 1, 64, 65, 1_000])(
  'a generation with the %i bundles of the one before has a file of its own, as whole as any',
  async (rows) => {
    const { backup, write, files } = openFixture();
    await write(rows);
    const renewed = await backup.renew(manifestOf(rows, 2, 3), first);
    expect(renewed?.rows).toBe(rows);
    expect(backupNames(files).toSorted()).toEqual(['catalog-1-1.backup', 'catalog-3-2.backup']);
    expect(await readNewest(backup)).toEqual({ generation: 2, bundles: bundlesOf(rows) });
    // And that of the renewed one again.
    await backup.renew(manifestOf(rows, 5, 5), { token: 3, generation: 2 });
    expect(backupNames(files).toSorted()).toEqual(['catalog-3-2.backup', 'catalog-5-5.backup']);
    expect(await readNewest(backup)).toEqual({ generation: 5, bundles: bundlesOf(rows) });
  },
);

test('without a whole file of that generation nothing is written, whatever byte of it is damaged', async () => {
  const { backup, write, files } = openFixture();
  await write(200);
  expect(await backup.renew(manifestOf(200, 3, 3), { token: 1, generation: 2 })).toBe(undefined);
  expect(await backup.renew(manifestOf(201, 3, 3), first)).toBe(undefined);
  const content = files.content('catalog-1-1.backup');
  for (let at = 0; at < content.length; at += 97) {
    const sound = content[at] ?? 0;
    content[at] = sound ^ 4;
    expect(await backup.renew(manifestOf(200, 3, 3), first)).toBe(undefined);
    content[at] = sound;
  }
  expect(backupNames(files).toSorted()).toEqual(['catalog-1-1.backup']);
});

test('who has an older token renews nothing', async () => {
  const { backup, write, files } = openFixture();
  await write(64, 1, 1);
  await write(64, 2, 5);
  await expect(backup.renew(manifestOf(64, 3, 4), first)).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_FENCED',
  });
  expect(backupNames(files).toSorted()).toEqual(['catalog-1-1.backup', 'catalog-5-2.backup']);
});

test('an abort while it is renewed leaves no file', async () => {
  const { backup, write, files } = openFixture();
  await write(64);
  const reason = new Error('stopped');
  const signal = AbortSignal.abort(reason);
  await expect(backup.renew(manifestOf(64, 2, 2), first, { signal })).rejects.toBe(reason);
  expect(backupNames(files).toSorted()).toEqual(['catalog-1-1.backup']);
});
