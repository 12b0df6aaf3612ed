import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { TestDatabase } from '@holdfast/catalog/testing';
import { TestDataFactory } from '@holdfast/emulators/esim-go';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { type PostgresCatalog, openPostgresCatalog } from '../../src/catalog/postgres-catalog.ts';

let catalog: PostgresCatalog;
let url: string;
beforeAll(async () => {
  catalog = await openPostgresCatalog();
  // As in the compose file.
  await catalog.ask(`create role test login password 'test'`);
  await catalog.ask('create database esim_test owner test');
  const { host, port } = catalog.primary;
  url = `postgres://test:test@${host}:${port}/esim_test`;
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => TestDatabase.teardown());
afterAll(() => catalog.close());

test('each test of a user begins with what it seeds, and the end leaves nothing', async () => {
  const bundles = TestDataFactory.createBundles(30, 'Standard Fixed');
  for (let round = 1; round <= 2; round += 1) {
    await TestDatabase.setup(url);
    expect(await TestDatabase.store.current()).toBeUndefined();
    await TestDatabase.seed(bundles.slice(0, 20));
    await TestDatabase.seed(bundles);
    const reader = await TestDatabase.store.open();
    expect(reader?.manifest).toMatchObject({ generation: 2, rows: 30 });
    expect(await reader?.readRow(29)).toStrictEqual(bundles[29]);
    await TestDatabase.clear();
    expect(await TestDatabase.store.current()).toBeUndefined();
    await TestDatabase.seed(bundles);
    await TestDatabase.teardown();
  }
  await TestDatabase.setup(url);
  expect(await TestDatabase.store.current()).toBeUndefined();
});

test('without setup it does nothing, and it removes the catalog of no other database', async () => {
  await TestDatabase.teardown();
  await expect(TestDatabase.seed([])).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  const setup = TestDatabase.setup(url.replace('esim_test', 'production'));
  await expect(setup).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'url' });
});
