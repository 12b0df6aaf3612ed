import { InvalidOptionError, environment, systemClock } from '@holdfast/foundation';
import { Pool } from '@holdfast/database/pg';
import type { Bundle } from '../catalog.ts';
import type { GenerationStore } from '../generations/generation-store.ts';
import { createPostgresGenerations } from '../generations/postgres/postgres-generations.ts';

/** The database of `docker-compose.test.yml`. */
const DEFAULT_URL = 'postgres://test:test@127.0.0.1:5433/esim_test';

interface Opened {
  readonly pool: Pool;
  readonly store: GenerationStore;
}

let opened: Opened | undefined;

const DROP_ALL = `do $body$ declare old text; begin
  if to_regclass('public.catalog_generations') is null then return; end if;
  drop view if exists public.catalog;
  for old in select relation from public.catalog_generations loop
    execute format('drop table if exists public.%I', old);
  end loop;
  drop table public.catalog_generations, public.catalog_fence;
end $body$`;

function assertOpened(): Opened {
  if (opened !== undefined) return opened;
  throw new InvalidOptionError('TestDatabase', 'setup', undefined, 'called before');
}

/** What `setup` and `clear` remove must not be anybody's catalog. @throws InvalidOptionError */
function assertForTests(url: string): void {
  const name = URL.canParse(url) ? new URL(url).pathname : '';
  if (name.includes('test')) return;
  const permitted = 'the URL of a database with `test` in its name: its catalog is removed';
  throw new InvalidOptionError('TestDatabase.setup', 'url', url, permitted);
}

/** The catalog of tests in a Postgres, one for the process: each test begins with what it seeds. */
// oxlint-disable-next-line typescript/no-extraneous-class -- the form in which tests call it
export class TestDatabase {
  /**
   * Connects, and removes what earlier tests have left.
   * @throws InvalidOptionError when the database has no `test` in its name
   * @param url default: that of the variable `DATABASE_URL`, else that of the repository's compose file.
   */
  static async setup(url: string = environment['DATABASE_URL'] ?? DEFAULT_URL): Promise<void> {
    assertForTests(url);
    await TestDatabase.teardown();
    const pool = new Pool({ connectionString: url, max: 4 });
    opened = { pool, store: createPostgresGenerations({ database: pool, graceMs: 0 }) };
    await TestDatabase.clear();
  }

  /** Removes the catalog and closes the connections; does nothing before `setup`. */
  static async teardown(): Promise<void> {
    if (opened === undefined) return;
    const { pool } = opened;
    try {
      await TestDatabase.clear();
    } finally {
      opened = undefined;
      await pool.holdfast.close({ deadlineMs: 1_000 });
    }
  }

  /**
   * Publishes bundles as the next generation, such as those of `TestDataFactory` of `@holdfast/emulators/esim-go`.
   * @throws CatalogDocumentError for one that no catalog takes
   */
  static async seed(data: readonly object[]): Promise<void> {
    const { store } = assertOpened();
    // As they would come from the API.
    const bundles: readonly Bundle[] = JSON.parse(JSON.stringify(data));
    const before = await store.current();
    const place = { generation: (before?.generation ?? 0) + 1, token: (before?.token ?? 0) + 1 };
    const staged = await store.stage(place);
    await staged.add(bundles);
    await staged.publish({
      ...place,
      rows: bundles.length,
      syncedAtEpochMs: systemClock.epochMs(),
      complete: true,
      groups: [],
    });
  }

  /** Removes all generations, and what publishes them. */
  static async clear(): Promise<void> {
    const { pool } = assertOpened();
    await pool.holdfast.query(DROP_ALL);
  }

  /** What the seeded bundles are read from. */
  static get store(): GenerationStore {
    return assertOpened().store;
  }
}
