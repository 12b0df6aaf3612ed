/** Measures the cost of durability: one record of 200 bytes, durable before the caller continues. */
import * as fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { createMemoryJournal, openJournal } from '@holdfast/journal';
import { type Contender, compare, table } from './measuring/measure.ts';

const payload = Buffer.alloc(200, 'x');
const directory = await mkdtemp(
  join(process.env['BENCH_DIRECTORY'] ?? tmpdir(), 'holdfast-bench-'),
);

async function journal(durability: 'commit' | 'os'): Promise<Contender> {
  const opened = await openJournal({ directory: join(directory, durability), durability });
  let released = 0;
  return {
    name: `journal, durability '${durability}'`,
    run: async () => {
      const sequence = await opened.append(payload);
      if (sequence > released + 50_000) {
        released = sequence;
        await opened.release(sequence);
      }
    },
    close: () => opened.close(),
  };
}

/** fdatasync after each append to one file; concurrent appends are not grouped. */
async function appendAndSync(): Promise<Contender> {
  const write = promisify(fs.write);
  const sync = promisify(fs.fdatasync);
  const descriptor = fs.openSync(join(directory, 'append'), 'a');
  return {
    name: 'fs append + fdatasync per record',
    run: async () => {
      await write(descriptor, payload);
      await sync(descriptor);
    },
    close: async () => fs.closeSync(descriptor),
  };
}

/** One file per record, written and not synced, as a spool directory usually does. */
async function filePerRecord(): Promise<Contender> {
  await fs.promises.mkdir(join(directory, 'files'));
  let files = 0;
  return {
    name: 'fs.promises.writeFile, not synced',
    run: () => fs.promises.writeFile(join(directory, 'files', String((files += 1))), payload),
  };
}

async function filePerRecordSynced(): Promise<Contender> {
  await fs.promises.mkdir(join(directory, 'synced'));
  let files = 0;
  return {
    name: 'fs.promises.writeFile, flush: true',
    run: () =>
      fs.promises.writeFile(join(directory, 'synced', String((files += 1))), payload, {
        flush: true,
      }),
  };
}

/** Callers of one turn share a transaction: the best that a synchronous interface allows. */
async function sqlite(grouped: boolean): Promise<Contender> {
  const database = new DatabaseSync(join(directory, `${grouped ? 'grouped' : 'single'}.sqlite`));
  database.exec('pragma journal_mode = wal; pragma synchronous = full');
  database.exec('create table record (sequence integer primary key, payload blob)');
  const insert = database.prepare('insert into record (payload) values (?)');
  let waiting: (() => void)[] = [];
  const flush = (): void => {
    const notified = waiting;
    waiting = [];
    database.exec('begin');
    for (let record = 0; record < notified.length; record += 1) insert.run(payload);
    database.exec('commit');
    for (const resolve of notified) resolve();
  };
  return {
    name: `node:sqlite WAL, FULL, ${grouped ? 'a turn per commit' : 'insert'}`,
    run: grouped
      ? () =>
          new Promise<void>((resolve) => {
            waiting.push(resolve);
            if (waiting.length === 1) setImmediate(flush);
          })
      : async () => insert.run(payload),
    close: async () => database.close(),
  };
}

async function memory(): Promise<Contender> {
  const kept = createMemoryJournal();
  return {
    name: 'memory journal',
    run: async () => {
      await kept.release(await kept.append(payload));
    },
  };
}

const contenders: Contender[] = [];
try {
  contenders.push(
    await journal('commit'),
    await appendAndSync(),
    await filePerRecord(),
    await filePerRecordSynced(),
    await sqlite(false),
    await sqlite(true),
    await journal('os'),
    await memory(),
  );
  for (const inFlight of [1, 50, 1_000]) {
    const measured = await compare(contenders, { inFlight, rounds: 3, roundMs: 250 });
    process.stdout.write(`${table(`${inFlight} in flight`, measured)}\n`);
  }
} finally {
  for (const contender of contenders) await contender.close?.();
  await rm(directory, { recursive: true, force: true });
}
