import { expect } from '@jest/globals';
import { type FakePostgres, createFakePostgres } from '@holdfast/emulators/postgres';
import { type Database, type DatabaseOptions, createDatabase } from '../src/index.ts';

/** Everything that a test has opened, closed after it in reverse order. */
export class Opened {
  readonly #closings: (() => Promise<unknown>)[] = [];

  add(close: () => Promise<unknown>): void {
    this.#closings.push(close);
  }

  /** A database on a scripted server. */
  async database(
    options: Partial<DatabaseOptions> = {},
  ): Promise<{ db: Database; server: FakePostgres }> {
    const server = await createFakePostgres({});
    this.add(() => server.close());
    const db = createDatabase({ hosts: server.url, max: 4, ...options });
    this.add(() => db.close({ deadlineMs: 0 }));
    return { db, server };
  }

  async close(): Promise<void> {
    for (const close of this.#closings.splice(0).toReversed()) await close();
  }
}

/** The error of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<unknown> {
  const outcome = await call.then(
    () => ({ failed: false, error: undefined }),
    (error: unknown) => ({ failed: true, error }),
  );
  expect(outcome.failed).toBe(true);
  return outcome.error;
}

/** How many statements that match the server has received. */
export function statementsLike(server: FakePostgres, pattern: RegExp): number {
  return server.statements().filter((sql) => pattern.test(sql)).length;
}
