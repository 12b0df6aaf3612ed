import { expect } from '@jest/globals';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { type Database, createDatabase } from '@holdfast/database';
import { systemClock } from '@holdfast/foundation';
import { openPostgresFixture, untilTrue } from '../../src/database/postgres-fixture.ts';
import { type DatabaseOutcome, scenario } from '../../src/database/scenario.ts';

const DISK_BYTES = 160 * 1_048_576;
const ENTRY_BYTES = 200_000;

/** A database whose disk can be filled; without the right to mount, an emulated one that raises the same error. */
interface SmallDisk {
  readonly mode: 'local' | 'docker' | 'compose';
  readonly database: Database;
  fill(): Promise<() => Promise<void>>;
  /** The stored entries. */
  entries(): Promise<number[]>;
  close(): Promise<void>;
}

async function openSmallDisk(): Promise<SmallDisk> {
  try {
    const fixture = await openPostgresFixture({ diskMaxBytes: DISK_BYTES });
    await fixture.ask('create table documents (entry int not null, body text not null)');
    await fixture.ask('alter table documents alter column body set storage external');
    return {
      mode: fixture.mode,
      database: fixture.database({ max: 5 }),
      async fill() {
        const fault = await fixture.primary.fill('disk');
        return () => fault.undo();
      },
      async entries() {
        return (await fixture.ask('select entry from documents')).map(({ entry }) => Number(entry));
      },
      close: () => fixture.close(),
    };
  } catch (error) {
    if (!isCannot(error)) throw error;
    return openSpokenDisk();
  }
}

async function openSpokenDisk(): Promise<SmallDisk> {
  const kept: number[] = [];
  const server = await createFakePostgres({
    script: [
      [
        /^insert into documents/,
        ({ values }) => {
          kept.push(Number(values[0]));
          return { command: 'INSERT 0 1' };
        },
      ],
    ],
  });
  const database = createDatabase({ hosts: server.url });
  return {
    mode: 'local',
    database,
    async fill() {
      const empty = server.reply(/^insert into documents/, { error: '53100' });
      return async () => empty();
    },
    entries: async () => kept,
    async close() {
      await database.close();
      await server.close();
    },
  };
}

scenario(
  {
    promise:
      'on a full disk writes fail with the error of Postgres, acknowledged writes are kept, and reads go on',
    fault: 'the disk of Postgres is filled, then has room again (53100)',
    inContainers: true,
  },
  openSmallDisk,
  async (disk): Promise<DatabaseOutcome> => {
    const { database } = disk;
    const acknowledged: number[] = [];
    const refusals: unknown[] = [];
    let entry = 0;
    const write = async (): Promise<boolean> => {
      entry += 1;
      const values = [entry, 'x'.repeat(ENTRY_BYTES)];
      try {
        await database.query('insert into documents values ($1, $2)', values);
        acknowledged.push(entry);
        return true;
      } catch (error) {
        refusals.push(error);
        return false;
      }
    };
    expect(await write()).toBe(true);
    const free = await disk.fill();
    const filledAtMs = systemClock.now();
    await untilTrue(async () => !(await write()));
    const detectedAfterMs = systemClock.now() - filledAtMs;
    expect(refusals[0]).toMatchObject({ code: 'DATABASE_QUERY_FAILED', sqlState: '53100' });
    expect(refusals[0]).toMatchObject({ outcome: 'not-applied' });
    const read = await database.query('select 1', [], { idempotent: true });
    expect(read.rowCount).toBe(1);
    await free();
    const freedAtMs = systemClock.now();
    await untilTrue(write);
    const there = await disk.entries();
    return {
      accepted: acknowledged.length,
      delivered: acknowledged.filter((each) => there.includes(each)).length,
      duplicated: there.length - new Set(there).size,
      detectedAfterMs,
      lastedMs: freedAtMs - filledAtMs,
      recoveredAfterMs: systemClock.now() - freedAtMs,
      note: `${refusals.length} writes refused`,
    };
  },
);

function isCannot(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'STAGE_FAULT_UNSUPPORTED'
  );
}
