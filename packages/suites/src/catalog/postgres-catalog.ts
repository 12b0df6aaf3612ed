import type { Bundle, GenerationManifest } from '@holdfast/catalog';
import {
  type PostgresGenerationsOptions,
  type PostgresLockOptions,
  createPostgresGenerations,
  createPostgresLock,
} from '@holdfast/catalog/postgres';
import {
  type SupabaseGenerationsOptions,
  createSupabaseGenerations,
  supabaseSchemaSql,
} from '@holdfast/catalog/supabase';
import { environment } from '@holdfast/foundation';
import { type PostgresFixture, openPostgresFixture } from '../database/postgres-fixture.ts';

type GenerationStore = ReturnType<typeof createPostgresGenerations>;
type SyncLock = ReturnType<typeof createPostgresLock>;

/** How rows reach Postgres. */
export type Way = 'COPY' | 'inserts' | 'PostgREST';
export const WAYS: readonly Way[] = ['COPY', 'inserts', 'PostgREST'];

/** A Postgres, and the catalogs in it; each test has one of its own. */
export interface PostgresCatalog extends PostgresFixture {
  /** Of the tables of this test, but those of PostgREST. */
  readonly prefix: string;
  /** How the names of the tables begin. */
  prefixOf(way: Way): string;
  store(way: Way, options?: Partial<PostgresGenerationsOptions>): Promise<GenerationStore>;
  /** A store of someone who has the key that everyone has. */
  visitor(): GenerationStore;
  lock(options?: Partial<PostgresLockOptions>): SyncLock;
  /** Closes what was opened, and begins with an empty catalog. */
  reset(): Promise<void>;
}

const SERVICE_KEY = 'sb_secret_holdfast';
const PUBLIC_KEY = 'sb_publishable_holdfast';
/** PostgREST reads the schema once, so its catalog has one name. */
const REST = 'catalog';
const PROJECT_URL = 'http://project.test';
const JWT_SECRET = 'holdfast-secret-of-thirty-two-bytes';

export async function openPostgresCatalog(): Promise<PostgresCatalog> {
  const fixture = await openPostgresFixture();
  for (const role of ['anon', 'authenticated', 'service_role bypassrls']) {
    await fixture.ask(`create role ${role}`);
  }
  const { url } = fixture.primary;
  const opened: { close(): Promise<unknown> }[] = [];
  const added = <T extends { close(): Promise<unknown> }>(item: T): T => {
    opened.push(item);
    return item;
  };
  const closeAll = async (): Promise<void> => {
    for (const item of opened.splice(0).toReversed()) await item.close();
  };
  let catalogs = 1;
  let postgrest: Postgrest | undefined;
  const prefixOf = (way: Way): string =>
    way === 'PostgREST' ? `${REST}_rest` : `catalog_${catalogs}`;
  return {
    ...fixture,
    get prefix() {
      return prefixOf('COPY');
    },
    prefixOf,
    async store(way, options = {}) {
      const common = { prefix: way === 'PostgREST' ? REST : prefixOf(way), ...options };
      if (way === 'COPY') return added(createPostgresGenerations({ url, ...common }));
      if (way === 'inserts') {
        const database = fixture.database();
        return added(createPostgresGenerations({ database, ...common }));
      }
      await fixture.ask(supabaseSchemaSql({ prefix: REST }));
      postgrest ??= await openPostgrest(url);
      const { rowsPerRead: rowsPerCall, ...rest } = common;
      const size = rowsPerCall === undefined ? {} : { rowsPerCall };
      const project = { url: PROJECT_URL, key: SERVICE_KEY, fetch: postgrest.fetch };
      return added(createSupabaseGenerations({ ...project, ...rest, ...size }));
    },
    visitor() {
      const { fetch } = postgrest ?? {};
      const project = { url: PROJECT_URL, key: PUBLIC_KEY, ...(fetch && { fetch }) };
      return added(createSupabaseGenerations({ ...project, prefix: REST }));
    },
    lock: (options = {}) =>
      added(createPostgresLock({ url, prefix: prefixOf('COPY'), ...options })),
    async reset() {
      await closeAll();
      catalogs += 1;
      if (postgrest === undefined) return;
      await fixture.ask(`truncate ${REST}_rest_generations cascade`);
      await fixture.ask(
        `update ${REST}_rest_fence set generation = -1, token = -1, attempt = null`,
      );
    },
    async close() {
      await closeAll();
      await postgrest?.close();
      await fixture.close();
    },
  };
}

interface Postgrest {
  readonly fetch: NonNullable<SupabaseGenerationsOptions['fetch']>;
  close(): Promise<void>;
}

/** The PostgREST of Supabase's own `lite`, on a real Postgres, in this process. */
async function openPostgrest(url: string): Promise<Postgrest> {
  // Read when the package is loaded: disables its telemetry.
  Object.assign(environment, { DO_NOT_TRACK: '1' });
  const [{ App }, { createPostgresConnection }] = await Promise.all([
    import('@supabase/lite'),
    import('@supabase/lite/postgres'),
  ]);
  const connection = createPostgresConnection({ url });
  const keys = { publishable_key: PUBLIC_KEY, secret_key: SERVICE_KEY };
  const app = new App({ connection, auth: { enabled: true, jwt_secret: JWT_SECRET, ...keys } });
  await app.init();
  return {
    fetch: async (target, init) => app.fetch(new Request(target, init)),
    close: () => connection.close(),
  };
}

/** The bundles of a generation, whose price tells which; hostile text is among them. */
export function generationBundles(rows: number, generation: number): Bundle[] {
  return Array.from({ length: rows }, (_, row) => ({
    name: `esim_${row}${row % 50 === 7 ? HOSTILE : ''}`,
    description: `eSIM, ${row} MB, ${row % 50 === 9 ? HOSTILE : 'Andorra'}`,
    duration: 1 + (row % 30),
    dataAmount: 1_000 + row,
    unlimited: false,
    price: generation,
    countries: [{ name: 'Andorra', region: 'Europe', iso: 'AD' }],
    imageUrl: 'https://cdn.esim-go.com/flags/andorra.png',
    allowances: [{ type: 'DATA', service: 'STANDARD', amount: 1_000 + row, unit: 'MB' }],
  }));
}

/** Each of them ends a line, a column, a string or a statement somewhere. */
const HOSTILE = '\t\\.\n\r\\N\u0000\uD800"\'{},;drop table catalog--$1%\u2028';

export function manifestOf(generation: number, token: number, rows: number): GenerationManifest {
  const groups = [{ name: 'Standard Fixed', rows, generation }];
  return { generation, token, rows, syncedAtEpochMs: 1_000, complete: true, groups };
}

/** Stages and publishes a whole generation. */
export async function publishGeneration(
  store: Pick<GenerationStore, 'stage'>,
  generation: number,
  { token = generation, rows = 100 }: { readonly token?: number; readonly rows?: number } = {},
): Promise<void> {
  const staged = await store.stage({ generation, token });
  await staged.add(generationBundles(rows, generation));
  await staged.publish(manifestOf(generation, token, rows));
}
