import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { onAbort } from '@holdfast/foundation';
import { Client } from 'pg';
import { BackupProofError, BackupTargetError } from '../errors.ts';
import type { RowProof } from '../manifest.ts';
import type { StartProgram } from '../programs.ts';
import { connectionEnvironment } from './connection.ts';
import { differingTables, proveRows } from './row-proofs.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Dumps the database, and proves the rows of the same snapshot.
 *
 * @param take reads the dump to its end.
 */
export async function dumpDatabase(
  url: string,
  start: StartProgram,
  signal: AbortSignal,
  take: (dump: Readable) => Promise<void>,
): Promise<{ readonly proofs: readonly RowProof[]; readonly snapshotAtMs: number }> {
  return withClient(url, signal, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const { rows } = await client.query(
      'select pg_export_snapshot() as snapshot, extract(epoch from clock_timestamp()) * 1000 as at_ms',
    );
    const [snapshot] = rows;
    const args = ['--format=custom', `--snapshot=${String(snapshot?.snapshot)}`];
    const dump = start('pg_dump', args, { env: connectionEnvironment(url), signal });
    dump.stdin.end();
    await take(dump.stdout);
    await dump.ended;
    const proofs = await proveRows(client);
    await client.query('commit');
    return { proofs, snapshotAtMs: Number(snapshot?.at_ms) };
  });
}

/** A copy of the whole server, with the log that it takes to start: what a recovery to a point in time begins with. */
export async function copyServer(
  url: string,
  start: StartProgram,
  signal: AbortSignal,
  take: (copy: Readable) => Promise<void>,
): Promise<void> {
  const args = ['--pgdata=-', '--format=tar', '--wal-method=fetch', '--checkpoint=fast'];
  const env = connectionEnvironment(url);
  const copy = start('pg_basebackup', [...args, '--no-password'], { env, signal });
  copy.stdin.end();
  await take(copy.stdout);
  await copy.ended;
}

const OWN_TABLES = `select 1 from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'S') and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
    and not exists (select 1 from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
  limit 1`;

/** @throws BackupTargetError unless the database is reachable and empty. */
export async function checkEmpty(url: string, signal: AbortSignal): Promise<void> {
  await withClient(url, signal, async (client) => {
    const { rowCount } = await client.query(OWN_TABLES);
    if (rowCount !== 0) throw new BackupTargetError('the database', 'has tables');
  });
}

/**
 * Restores a dump into an empty database, all of it or nothing, and compares each table with its proof.
 *
 * @throws BackupProofError if the rows are not those of the snapshot.
 */
export async function restoreDatabase(
  url: string,
  start: StartProgram,
  signal: AbortSignal,
  dump: AsyncIterable<Uint8Array>,
  expected: readonly RowProof[],
): Promise<void> {
  const env = connectionEnvironment(url);
  const args = ['--exit-on-error', '--single-transaction', '--no-owner', '--no-privileges'];
  const restore = start('pg_restore', [...args, `--dbname=${env['PGDATABASE']}`], { env, signal });
  restore.stdout.resume();
  // It ends early when it fails: its own word counts, not that of the pipe.
  await Promise.all([pipeline(dump, restore.stdin).catch(() => undefined), restore.ended]);
  await withClient(url, signal, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const differing = differingTables(expected, await proveRows(client));
    await client.query('commit');
    if (differing.length > 0) throw new BackupProofError(differing);
  });
}

async function withClient<T>(
  url: string,
  signal: AbortSignal,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const client = new Client({
    connectionString: url,
    application_name: 'holdfast-backup',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A connection that breaks fails the query that waits for it.
  client.on('error', () => undefined);
  const release = onAbort(signal, () => void client.end());
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    release();
    await client.end();
  }
}
