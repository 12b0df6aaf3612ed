import { expect } from '@jest/globals';
import holdfast, { Pool } from '@holdfast/database/pg';
import { sleep, systemClock } from '@holdfast/foundation';
import { Kysely, PostgresDialect } from 'kysely';
import Cursor from 'pg-cursor';
import { DataSource } from 'typeorm';
import { type PostgresFixture, untilTrue } from '../postgres-fixture.ts';
import type { DatabaseOutcome } from '../scenario.ts';
import { CREATE_PIECES, donePieces } from './library-session.ts';
import { Piece, openMikroOrm } from './orms.ts';

/** More rows than the buffers on the way hold. */
const ROWS = 200_000;
const ROWS_BEFORE = 20;
/** How long a reader takes for a row. */
const ROW_MS = 2;

interface StreamUnderTest {
  readonly rows: AsyncIterable<unknown>;
  readonly close: () => Promise<unknown>;
}

/** Each reads all rows, and is given nothing that listens for errors. */
const openers: readonly ((url: string) => Promise<StreamUnderTest>)[] = [
  async function typeOrm(url) {
    const source = await new DataSource({ type: 'postgres', url, driver: holdfast }).initialize();
    const rows = await source.createQueryRunner().stream('select number from pieces');
    return { rows, close: () => source.destroy() };
  },
  async function mikroOrm(url) {
    const pool = new Pool({ connectionString: url });
    const orm = await openMikroOrm(pool);
    return { rows: orm.em.fork().stream(Piece), close: () => pool.end() };
  },
  async function kysely(url) {
    const pool = new Pool({ connectionString: url });
    const db = new Kysely<{ pieces: { number: number } }>({
      dialect: new PostgresDialect({ pool, cursor: Cursor }),
    });
    return { rows: db.selectFrom('pieces').selectAll().stream(), close: () => db.destroy() };
  },
];

/** Kills Postgres while each library streams rows: the reader hears of it, and the process lives. */
export async function runStreamsThroughKill(fixture: PostgresFixture): Promise<DatabaseOutcome> {
  const { ask, primary } = fixture;
  await ask(CREATE_PIECES);
  await ask(`insert into pieces select n from generate_series(1, ${ROWS}) n`);
  const streams = await Promise.all(openers.map((open) => open(primary.url)));
  const read = streams.map(() => 0);
  const ends = streams.map(async ({ rows }, at) => {
    const reader = rows[Symbol.asyncIterator]();
    while ((await reader.next()).done !== true) {
      read[at] = (read[at] ?? 0) + 1;
      await sleep(systemClock, ROW_MS);
    }
  });
  const settled = Promise.allSettled(ends);
  await untilTrue(() => read.every((count) => count > ROWS_BEFORE));
  await primary.kill();
  const outcomes = (await settled).map(({ status }) => status);
  expect(outcomes).toEqual(openers.map(() => 'rejected'));
  await primary.start();
  await Promise.all(streams.map(({ close }) => close()));
  expect(await donePieces(ask)).toHaveLength(ROWS);
  return {
    accepted: openers.length,
    delivered: outcomes.length,
    note: `${openers.map(({ name }) => name).join(', ')}: ended with an error after ${read.join(', ')} rows`,
  };
}
