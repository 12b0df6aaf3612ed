import connectPgSimple from 'connect-pg-simple';
import session from 'express-session';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import { type OpenSession, donePieces, numbersOf } from './library-session.ts';

export const sessionStore: OpenSession = async ({ pool }) => {
  const Store = connectPgSimple(session);
  const store = new Store({ pool, createTableIfMissing: true, pruneSessionInterval: false });
  return {
    work: (number) =>
      new Promise<void>((resolve, reject) => {
        store.set(String(number), { cookie: { originalMaxAge: 60_000 } }, (error?: unknown) =>
          error === undefined || error === null ? resolve() : reject(error),
        );
      }),
    done: async (ask) => numbersOf(await ask('select sid as number from session')),
    close: async () => store.close(),
  };
};

/** Each piece is a migration with a table of its own for what has run. */
export const migrations: OpenSession = async ({ pool }) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-migrations-'));
  const migrate = async (number: number): Promise<void> => {
    const dir = await mkdtemp(join(directory, 'm'));
    const sql = `insert into pieces (number) values (${number})`;
    await writeFile(join(dir, `1_piece.sql`), sql);
    const dbClient = await pool.connect();
    let failure: unknown;
    try {
      await runner({
        dbClient,
        dir,
        direction: 'up',
        migrationsTable: `migrations_${number}`,
        noLock: true,
        log: () => undefined,
        verbose: false,
        logger: SILENT,
      });
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      dbClient.release(failure !== undefined);
    }
  };
  return {
    work: migrate,
    done: donePieces,
    close: () => rm(directory, { recursive: true, force: true }),
  };
};

const ignore = (): void => undefined;
const SILENT = { debug: ignore, info: ignore, warn: ignore, error: ignore };
