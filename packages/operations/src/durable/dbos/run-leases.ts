import type { Pool } from 'pg';

/** Who holds a run, by which fence. All times are the server's. */
export interface RunLease {
  readonly runId: string;
  readonly fence: bigint;
}

/** What the table knows of a run beside the engine. */
export interface LeaseRow {
  readonly runId: string;
  readonly fence: bigint;
  readonly step: string | undefined;
  readonly progressAtMs: number;
}

/** Keeps the times of two processes apart from each other: only the server's clock counts. */
const MILLISECOND = "interval '1 millisecond'";

/**
 * The leases on runs, a row a run. Each new holder has a higher fence, and what names a lower one changes nothing:
 *
 *     free --claim--> held --(renewed)--> held
 *      ^               | lapsed, released
 *      +---reclaim-----+        held --retire--> retired (cancelled, or ended)
 */
export class RunLeases {
  readonly #pool: Pool;
  readonly #table: string;
  readonly #schema: string;
  readonly #holder: string;
  readonly #leaseMs: number;

  constructor(pool: Pool, schema: string, holder: string, leaseMs: number) {
    this.#pool = pool;
    this.#schema = `"${schema}"`;
    this.#table = `${this.#schema}.run_leases`;
    this.#holder = holder;
    this.#leaseMs = leaseMs;
  }

  /** Makes the table where it is missing; several processes may do so at once. */
  async migrate(): Promise<void> {
    const client = await this.#pool.connect();
    try {
      await client.query('begin');
      await client.query("select pg_advisory_xact_lock(hashtext('holdfast run leases'))");
      await client.query(`create schema if not exists ${this.#schema}`);
      await client.query(`create table if not exists ${this.#table} (
        run_id text primary key,
        holder text,
        fence bigint not null default 0,
        lease_until timestamptz not null,
        progress_at timestamptz not null default now(),
        waits_until timestamptz not null default '-infinity',
        step text,
        retired boolean not null default false)`);
      await client.query(`create index if not exists run_leases_due
        on ${this.#table} (lease_until) where not retired`);
      await client.query('commit');
    } finally {
      client.release();
    }
  }

  /** A run that is about to be stored in the engine. */
  async add(runId: string): Promise<void> {
    await this.#pool.query(
      `insert into ${this.#table} (run_id, lease_until) values ($1, now() + $2 * ${MILLISECOND})
       on conflict do nothing`,
      [runId, this.#leaseMs],
    );
  }

  /** Takes a run that nobody holds, with a higher fence; `undefined` if another holds it, or it is retired. */
  async claim(runId: string): Promise<RunLease | undefined> {
    await this.add(runId);
    const { rows } = await this.#pool.query(
      `update ${this.#table} set holder = $2, fence = fence + 1, step = null,
         lease_until = now() + $3 * ${MILLISECOND}, progress_at = now(), waits_until = '-infinity'
       where run_id = $1 and not retired and (holder is null or lease_until < now())
       returning fence`,
      [runId, this.#holder, this.#leaseMs],
    );
    const [row] = rows;
    return row === undefined ? undefined : { runId, fence: BigInt(row.fence) };
  }

  /**
   * Records that the run has come to its next step, and that it will wait for that long.
   *
   * @returns whether the lease still holds.
   */
  async advance(lease: RunLease, step: string, waitMs: number): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `update ${this.#table} set step = $3, progress_at = now(),
         waits_until = case when $4 > 0 then now() + $4 * ${MILLISECOND} else '-infinity' end
       where run_id = $1 and fence = $2 and not retired`,
      [lease.runId, String(lease.fence), step, waitMs],
    );
    return rowCount === 1;
  }

  /** Renews what is held and makes progress. @returns the ids of the runs whose lease was renewed. */
  async renew(
    leases: readonly RunLease[],
    progressTimeoutMs: number,
  ): Promise<ReadonlySet<string>> {
    const { rows } = await this.#pool.query(
      `update ${this.#table} as held set lease_until = now() + $4 * ${MILLISECOND}
       from unnest($2::text[], $3::bigint[]) as mine(run_id, fence)
       where held.run_id = mine.run_id and held.fence = mine.fence and holder = $1 and not retired
         and greatest(progress_at, waits_until) > now() - $5 * ${MILLISECOND}
       returning held.run_id`,
      [
        this.#holder,
        leases.map(({ runId }) => runId),
        leases.map(({ fence }) => String(fence)),
        this.#leaseMs,
        progressTimeoutMs,
      ],
    );
    return new Set(rows.map((row) => String(row.run_id)));
  }

  /** The runs whose lease has lapsed, the oldest first. */
  async lapsed(limit: number): Promise<string[]> {
    const { rows } = await this.#pool.query(
      `select run_id from ${this.#table} where not retired and lease_until < now()
       order by lease_until limit $1`,
      [limit],
    );
    return rows.map((row) => String(row.run_id));
  }

  /**
   * Takes lapsed runs from their holders: their fences rise, so that the holders find their leases lost.
   *
   * @returns the runs taken, each by one caller only.
   */
  async reclaim(runIds: readonly string[]): Promise<string[]> {
    const { rows } = await this.#pool.query(
      `update ${this.#table} set holder = null, fence = fence + 1,
         lease_until = now() + $2 * ${MILLISECOND}
       where run_id = any($1) and not retired and lease_until < now() returning run_id`,
      [runIds, this.#leaseMs],
    );
    return rows.map((row) => String(row.run_id));
  }

  /** Looks at these runs again after a lease. */
  async postpone(runIds: readonly string[]): Promise<void> {
    await this.#pool.query(
      `update ${this.#table} set lease_until = now() + $2 * ${MILLISECOND}
       where run_id = any($1) and not retired and lease_until < now()`,
      [runIds, this.#leaseMs],
    );
  }

  /** Gives back what this process holds, for others to take at once. */
  async release(): Promise<void> {
    await this.#pool.query(
      `update ${this.#table} set holder = null, lease_until = now() where holder = $1`,
      [this.#holder],
    );
  }

  /** The runs have ended; whoever holds one finds its lease lost. */
  async retire(runIds: readonly string[]): Promise<void> {
    await this.#pool.query(
      `update ${this.#table} set retired = true, holder = null, fence = fence + 1
       where run_id = any($1) and not retired`,
      [runIds],
    );
  }

  async read(runIds: readonly string[]): Promise<Map<string, LeaseRow>> {
    const { rows } = await this.#pool.query(
      `select run_id, fence, step, extract(epoch from progress_at) * 1000 as progress_at_ms
       from ${this.#table} where run_id = any($1)`,
      [runIds],
    );
    return new Map(
      rows.map((row) => [
        String(row.run_id),
        {
          runId: String(row.run_id),
          fence: BigInt(row.fence),
          step: row.step ?? undefined,
          progressAtMs: Number(row.progress_at_ms),
        },
      ]),
    );
  }
}
