import type { PostgresStoreSettings } from './options.ts';
import { boundTransaction } from './transaction-bounds.ts';

/** The newest generations that stay, however long ago they were replaced. */
const KEPT = 2;
/** More than these do not stay, however recently they were replaced. */
const KEPT_AT_MOST = 8;
/** What reads a table that is to go keeps it for now; the next call finds it again. */
const LOCK_TIMEOUT_MS = 500;
/** One call drops no more, and takes no longer: it is not what its caller waits for. */
const MAX_DROPS = 16;
const WITHIN_MS = 3_000;

/** Drops the tables that nobody should read any more, as far as that is possible now. Never throws. */
export async function removeOld(
  settings: PostgresStoreSettings,
  signal?: AbortSignal,
): Promise<void> {
  const { tables, connections, graceMs, clock } = settings;
  const { database } = connections;
  const endsAtMs = clock.now() + WITHIN_MS;
  const call = (): { timeoutMs: number; signal: AbortSignal | undefined } => ({
    timeoutMs: Math.max(1, Math.ceil(endsAtMs - clock.now())),
    signal,
  });
  const drop = async (relation: string): Promise<void> => {
    try {
      await database.transaction(async (tx) => {
        await boundTransaction(settings, tx, LOCK_TIMEOUT_MS);
        await tx.query(`drop table if exists ${tables.rowsOf(relation)}`);
        await tx.query(`delete from ${tables.generations} where relation = $1`, [relation]);
      }, call());
    } catch {
      // What is read stays in the list; the others need not wait for it.
    }
  };
  try {
    await database.query(
      `update ${tables.generations} set state = 'removed' from (select relation as old, ` +
        'row_number() over newest as place, lag(published_at) over newest as replaced_at ' +
        `from ${tables.generations} where state = 'published' window newest as (order by generation desc)) as placed ` +
        `where relation = old and (place > ${KEPT_AT_MOST} or place > ${KEPT} and ` +
        `replaced_at < clock_timestamp() - $1 * interval '1 ms')`,
      [graceMs],
      call(),
    );
    const { rows } = await database.query<{ relation: string }>(
      `select relation from ${tables.generations} where state = 'removed' order by begun_at limit ${MAX_DROPS}`,
      [],
      call(),
    );
    for (const { relation } of rows) if (clock.now() < endsAtMs) await drop(relation);
  } catch {
    // They stay in the list, for the next call.
  }
}
