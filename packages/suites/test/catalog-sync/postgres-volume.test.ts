import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { environment, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import {
  type PostgresCatalog,
  type Way,
  generationBundles,
  manifestOf,
  openPostgresCatalog,
} from '../../src/catalog/postgres-catalog.ts';

let catalog: PostgresCatalog;
beforeAll(async () => {
  catalog = await openPostgresCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => catalog.reset());
afterAll(() => catalog.close());

const ROWS = Number(environment['HOLDFAST_ROWS'] ?? 50_000);
const PAGE = 500;

test.each<Way>(['COPY', 'inserts'])(
  `${ROWS} bundles are staged by %s, published and read again`,
  async (way) => {
    const store = await catalog.store(way);
    const page = generationBundles(PAGE, 1);
    const beganMs = systemClock.now();
    const staged = await store.stage({ generation: 1, token: 1 });
    for (let row = 0; row < ROWS; row += PAGE) await staged.add(page);
    const addedMs = systemClock.now();
    await staged.publish(manifestOf(1, 1, ROWS));
    const publishedMs = systemClock.now();
    let rows = 0;
    for await (const part of (await store.open())?.readAll() ?? []) rows += part.length;
    const readMs = systemClock.now();
    process.stdout.write(
      `${ROWS} rows by ${way}: staged ${Math.round(addedMs - beganMs)} ms, ` +
        `published ${Math.round(publishedMs - addedMs)} ms, read ${Math.round(readMs - publishedMs)} ms\n`,
    );
    expect(rows).toBe(ROWS);
  },
);
