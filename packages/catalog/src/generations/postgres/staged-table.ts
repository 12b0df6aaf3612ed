import type { QueryOptions, Queryable, Transaction } from '@holdfast/database';
import { type Outcome, propertyOf, withDeadline } from '@holdfast/foundation';
import type { Bundle, GenerationManifest } from '../../catalog.ts';
import { CatalogFencedError, CatalogStoreError } from '../errors.ts';
import type { GenerationPlace, StagedGeneration, StoreCallOptions } from '../generation-store.ts';
import { checkManifestOf, checkPlace } from '../place.ts';
import { copyRows } from './copy-rows.ts';
import type { PostgresStoreSettings } from './options.ts';
import { RowBuffer } from '../row-batch.ts';
import { toStoreError } from './store-failure.ts';
import { removeOld } from './remove-old.ts';
import { boundTransaction } from './transaction-bounds.ts';
import { relationOf, schemaStatements } from '../tables.ts';

/** What a statement loads at once, in characters of documents. */
const LOAD_CHARACTERS = 1_048_576;
/** Of the advisory lock under which the tables are made: two that make them at once would collide. */
const SCHEMA_LOCK = 4_801_147;

interface FenceRow {
  readonly generation: string;
  readonly token: string;
}

/** A generation that is loaded into a table of its own. */
export class StagedTable implements StagedGeneration {
  readonly #settings: PostgresStoreSettings;
  readonly #place: GenerationPlace;
  readonly #relation: string;
  readonly #buffer = new RowBuffer(LOAD_CHARACTERS);
  #state: 'open' | 'failed' | 'published' | 'discarded' = 'open';

  private constructor(settings: PostgresStoreSettings, place: GenerationPlace, relation: string) {
    this.#settings = settings;
    this.#place = place;
    this.#relation = relation;
  }

  static async begin(
    settings: PostgresStoreSettings,
    place: GenerationPlace,
    { signal }: StoreCallOptions,
  ): Promise<StagedTable> {
    checkPlace(place);
    const { name, tables, connections, prefix, random, timeoutMs } = settings;
    const { generation, token } = place;
    const mark = Math.floor(random() * 0x1_0000_0000).toString(36);
    const relation = relationOf(prefix, generation, mark);
    const begin = async (tx: Transaction): Promise<void> => {
      await boundTransaction(settings, tx, timeoutMs);
      await tx.query(`select pg_advisory_xact_lock(${SCHEMA_LOCK})`);
      for (const statement of schemaStatements(tables)) await tx.query(statement);
      await checkFence(settings, tx, place, 'for update');
      // From now on former leaders publish nothing, and what they have staged is of no use.
      await tx.query(`update ${tables.fence} set token = $1`, [token]);
      await tx.query(`update ${tables.generations} set state = 'removed' where state = 'staged'`);
      await tx.query(
        `insert into ${tables.generations} (relation, generation, token, state) values ($1, $2, $3, 'staged')`,
        [relation, generation, token],
      );
      await tx.query(
        `create table ${tables.rowsOf(relation)} ("row" bigint not null, name text not null, ` +
          `document json not null, checksum bigint not null)`,
      );
    };
    try {
      await connections.database.transaction(begin, { signal, timeoutMs });
    } catch (error) {
      const seen = `did not begin generation ${generation}`;
      throw toStoreError(error, { store: name, seen, signal });
    }
    await removeOld(settings, signal);
    return new StagedTable(settings, place, relation);
  }

  async add(bundles: readonly Bundle[], { signal }: StoreCallOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#assertOpen();
    try {
      const deadline = this.#deadline(this.#settings.timeoutMs);
      for (const bundle of bundles) {
        if (this.#buffer.add(bundle)) await this.#load(deadline(), signal);
      }
    } catch (error) {
      throw await this.#fail(error, 'did not take the rows', signal);
    }
  }

  async publish(manifest: GenerationManifest, { signal }: StoreCallOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#assertOpen();
    checkManifestOf(manifest, this.#place, this.#buffer.rows, this.#settings.name);
    const remainingMs = this.#deadline(this.#settings.publishTimeoutMs);
    try {
      await this.#load(remainingMs(), signal);
      await this.#index(remainingMs, signal);
    } catch (error) {
      throw await this.#fail(error, 'did not load the last rows', signal);
    }
    await this.#commit(manifest, remainingMs(), signal);
    this.#state = 'published';
    await removeOld(this.#settings, signal);
  }

  async discard(): Promise<void> {
    if (this.#state === 'published' || this.#state === 'discarded') return;
    this.#state = 'discarded';
    const { tables, connections, timeoutMs } = this.#settings;
    try {
      await connections.database.query(
        `update ${tables.generations} set state = 'removed' where relation = $1 and state = 'staged'`,
        [this.#relation],
        { timeoutMs, idempotent: true },
      );
      await removeOld(this.#settings);
    } catch {
      // The next generation removes it.
    }
  }

  async #load(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const batch = this.#buffer.take();
    if (batch === undefined) return;
    const { name, clock, connections, tables } = this.#settings;
    const table = tables.rowsOf(this.#relation);
    const { pool, database } = connections;
    if (pool === undefined) {
      const { first, names, documents, checksums } = batch;
      await database.query(
        `insert into ${table} ("row", name, document, checksum) select $1 + at - 1, given.name, ` +
          `given.document::json, given.checksum from unnest($2::text[], $3::text[], $4::bigint[]) ` +
          'with ordinality as given (name, document, checksum, at)',
        [first, names, documents, checksums],
        { signal, timeoutMs },
      );
      return;
    }
    const late = (): Error =>
      new CatalogStoreError(name, 'timeout', `did not load rows within ${timeoutMs} ms`);
    await withDeadline(clock, timeoutMs, signal, late, (ends) =>
      copyRows(pool, table, batch, ends),
    );
  }

  async #index(remainingMs: () => number, signal: AbortSignal | undefined): Promise<void> {
    const { tables, connections } = this.#settings;
    const table = tables.rowsOf(this.#relation);
    // A name of any length has a hash.
    const statements = [
      `alter table ${table} add primary key ("row")`,
      `create index on ${table} using hash (name)`,
    ];
    for (const text of statements) {
      await connections.database.query(text, [], { signal, timeoutMs: remainingMs() });
    }
  }

  async #commit(
    manifest: GenerationManifest,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { connections } = this.#settings;
    const work = (tx: Transaction): Promise<void> => this.#turn(tx, manifest, timeoutMs);
    try {
      await connections.database.transaction(work, { signal, timeoutMs });
    } catch (error) {
      const isKnown = propertyOf(error, 'outcome') !== 'unknown';
      const outcome = isKnown ? 'not-applied' : await this.#outcome();
      if (outcome === 'applied') return;
      const seen = `did not publish generation ${manifest.generation}`;
      throw await this.#fail(error, seen, signal, outcome);
    }
  }

  /** The transaction of a publication. */
  async #turn(tx: Transaction, manifest: GenerationManifest, timeoutMs: number): Promise<void> {
    const { name, tables } = this.#settings;
    const { generation, token, rows } = manifest;
    const table = tables.rowsOf(this.#relation);
    await boundTransaction(this.#settings, tx, timeoutMs);
    await checkFence(this.#settings, tx, manifest, 'for update');
    const updated = await tx.query(
      `update ${tables.generations} set state = 'published', published_at = clock_timestamp(), manifest = $2 ` +
        `where relation = $1 and state = 'staged'`,
      [this.#relation, JSON.stringify(manifest)],
    );
    if (updated.rowCount !== 1) {
      const seen = `has no generation ${generation} any more: another attempt at it has begun`;
      throw new CatalogStoreError(name, 'missing', seen);
    }
    // Whatever still loads into it ends first, or never.
    await tx.query(`lock table ${table} in share mode`);
    const counted = await tx.query<{ count: string; last: string | null }>(
      `select count(*) as count, max("row") as last from ${table}`,
    );
    const { count, last } = counted.rows[0] ?? { count: '0', last: null };
    if (Number(count) !== rows || Number(last ?? -1) !== rows - 1) {
      const seen = `has ${count} rows of the ${rows} of generation ${generation}`;
      throw new CatalogStoreError(name, 'missing', seen);
    }
    await tx.query(
      `create or replace view ${tables.view} as select "row", name, document from ${table}`,
    );
    await tx.query(`update ${tables.fence} set generation = $1, token = $2, relation = $3`, [
      generation,
      token,
      this.#relation,
    ]);
  }

  /**
   * How the publication whose answer was lost has ended. It held the row of the fence until its end, so whoever has that
   * row sees it.
   */
  async #outcome(): Promise<Outcome> {
    const { tables, connections, timeoutMs } = this.#settings;
    const look = async (tx: Transaction): Promise<Outcome> => {
      await boundTransaction(this.#settings, tx, timeoutMs);
      await tx.query(`select 1 from ${tables.fence} for update`);
      const { rows } = await tx.query<{ state: string }>(
        `select state from ${tables.generations} where relation = $1`,
        [this.#relation],
      );
      if (rows[0]?.state === 'published') return 'applied';
      return rows[0]?.state === 'staged' ? 'not-applied' : 'unknown';
    };
    try {
      const call = { timeoutMs, rerunOnLoss: true };
      return (await connections.database.transaction(look, call)).value;
    } catch {
      return 'unknown';
    }
  }

  /** The error to throw; where what was staged is gone, that of the leader who has removed it. */
  async #fail(
    error: unknown,
    seen: string,
    signal?: AbortSignal,
    outcome?: Outcome,
  ): Promise<unknown> {
    this.#state = 'failed';
    const { name, connections, timeoutMs } = this.#settings;
    const failed = toStoreError(error, { store: name, seen, signal, ...(outcome && { outcome }) });
    if (!(failed instanceof CatalogStoreError) || failed.reason !== 'missing') return failed;
    try {
      const call = { timeoutMs, signal };
      await checkFence(this.#settings, connections.database, this.#place, '', call);
      return failed;
    } catch (fenced) {
      return fenced instanceof CatalogFencedError ? fenced : failed;
    }
  }

  #assertOpen(): void {
    this.#settings.assertOpen();
    if (this.#state === 'open') return;
    const { name } = this.#settings;
    const seen = `has no more of generation ${this.#place.generation}: it is ${this.#state}`;
    throw new CatalogStoreError(name, 'closed', seen);
  }

  #deadline(timeoutMs: number): () => number {
    const { clock } = this.#settings;
    const endsAtMs = clock.now() + timeoutMs;
    return () => Math.max(1, Math.ceil(endsAtMs - clock.now()));
  }
}

async function checkFence(
  { name, tables }: PostgresStoreSettings,
  queryable: Queryable,
  given: GenerationPlace,
  locking: '' | 'for update',
  call?: QueryOptions,
): Promise<void> {
  const text = `select generation, token from ${tables.fence} ${locking}`;
  const { rows } = await queryable.query<FenceRow>(text, [], call);
  const published = {
    generation: Number(rows[0]?.generation),
    token: Number(rows[0]?.token),
  };
  if (given.token >= published.token && given.generation > published.generation) return;
  throw new CatalogFencedError(name, given, published);
}
