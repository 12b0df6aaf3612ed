import type pg from 'pg';

/** What a library is run on: pg's own pool, or one with its interface. */
export interface PoolUnderTest {
  /** The exports of pg, with the class of the pool. */
  readonly driver: Pick<typeof pg, 'Pool'>;
  readonly pool: pg.Pool;
  readonly url: string;
}

/** A library at work. Pieces of work are numbered, and leave their number in the database or with a worker. */
export interface LibrarySession {
  /** Does one piece of work, as an application does it. */
  work(number: number): Promise<unknown>;
  /** The numbers whose work has been done, each as often as it was; `ask` queries the server. */
  done(ask: Ask): Promise<number[]>;
  /** From a job's acceptance until its worker had it, in milliseconds. */
  readonly latenciesMs?: readonly number[];
  close(): Promise<unknown>;
}

type Ask = (sql: string) => Promise<Record<string, unknown>[]>;

export type OpenSession = (on: PoolUnderTest) => Promise<LibrarySession>;

export const CREATE_PIECES = 'create table if not exists pieces (number int not null)';

/** The pieces of work that are rows. */
export async function donePieces(ask: Ask): Promise<number[]> {
  return numbersOf(await ask('select number from pieces'));
}

export function numbersOf(rows: readonly Record<string, unknown>[]): number[] {
  return rows.map(({ number }) => Number(number));
}
