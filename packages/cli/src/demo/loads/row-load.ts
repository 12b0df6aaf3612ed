import { createDatabase, markerTableSql } from '@holdfast/database';
import { DemoLedger } from '../ledger.ts';
import type { Load } from './load.ts';

/** Long enough that callers wait for a server that comes back. */
const DEADLINE_MS = 15_000;
/** Of each row: large enough that a full disk is noticed soon. */
const NOTE = 'x'.repeat(4_000);

/** Rows that transactions insert; each has to be in the table once. */
export async function openRowLoad(url: string): Promise<Load> {
  const database = createDatabase({
    hosts: url,
    max: 8,
    acquireTimeoutMs: DEADLINE_MS,
    reconnect: { maxDelayMs: 100 },
  });
  // Without a unique constraint, so that a row that is inserted twice is found twice.
  await database.query('create table orders (number int not null, note text not null)');
  await database.query('alter table orders alter column note set storage external');
  await database.query(markerTableSql);
  const options = { resolveCommit: true, rerunOnLoss: true, timeoutMs: DEADLINE_MS };
  return {
    unit: 'rows',
    ledger: new DemoLedger(),
    async handOver(number) {
      const insert = 'insert into orders (number, note) values ($1, $2)';
      await database.transaction((tx) => tx.query(insert, [number, NOTE]), options);
      return true;
    },
    async find(signal) {
      const count = 'select number, count(*)::int as times from orders group by number';
      const { rows } = await database.query(count, [], {
        idempotent: true,
        timeoutMs: DEADLINE_MS,
        signal,
      });
      return new Map(rows.map(({ number, times }) => [Number(number), Number(times)]));
    },
    close: () => database.close(),
  };
}
