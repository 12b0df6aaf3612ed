import { existsSync, readFileSync } from 'node:fs';
import { replacementOf } from '../../src/images.ts';
import { embeddedFolder } from '../../src/servers/postgres/embedded.ts';
import { askPostgres } from '../../src/servers/postgres/query.ts';
import type { ServerUnderContract } from '../../src/contract.ts';
import type { ServerHandle } from '../../src/handle/handle.ts';
import type { StageMode } from '../../src/mode-name.ts';

export const mode: StageMode = process.env['HOLDFAST_STAGE'] === 'docker' ? 'docker' : 'local';

/** The versions available here without a pull: those of replaced images; 15, and 18 from npm. */
export async function versionsHere(): Promise<number[]> {
  const { env } = process;
  if (mode === 'docker') {
    const named = ([15, 18] as const).filter((major) => replacementOf(`postgres-${major}`, env));
    return named.length === 0 ? [18] : named;
  }
  const watchdog = {
    guard: () => () => undefined,
    ready: () => undefined,
    close: () => Promise.resolve(),
  };
  const fromNpm = await embeddedFolder({ env, watchdog });
  return fromNpm === undefined ? [15] : [15, 18];
}

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** The rows of one statement to a Postgres; its errors are thrown. */
export async function postgresRows(
  address: Endpoint,
  sql: string,
  { database = 'postgres', signal = AbortSignal.timeout(10_000) } = {},
): Promise<readonly (readonly (string | null)[])[]> {
  const reply = await askPostgres(address, { sql, database }, signal);
  if (reply.kind === 'error') throw new Error(`${reply.sqlState} ${reply.text}`);
  return reply.rows;
}

/** A Postgres as the contract wants it; its data live in a table that is made for it. */
export async function underPostgresContract(
  primary: ServerHandle,
  close: () => Promise<void>,
): Promise<ServerUnderContract> {
  await postgresRows(primary, 'create table stored (key text primary key, value text)');
  return {
    server: primary,
    close,
    ping: async (signal) => {
      await postgresRows(primary, 'select 1', { signal });
    },
    store: async (key, value, signal) => {
      await postgresRows(primary, `insert into stored values ('${key}', '${value}')`, { signal });
    },
    recall: async (key, signal) => {
      const sql = `select value from stored where key = '${key}'`;
      const [[value = null] = []] = await postgresRows(primary, sql, { signal });
      return value;
    },
    startLine: /database system is ready to accept connections/,
  };
}

/** The resources of a Postgres in the system. */
export interface Holdings {
  readonly postmaster: number;
  /** Its sessions and its own processes. */
  readonly others: readonly number[];
  readonly folder: string;
  readonly segment: string;
}

export async function holdingsOf(address: Endpoint): Promise<Holdings> {
  const [[pidFile, folder] = []] = await postgresRows(
    address,
    `select pg_read_file('postmaster.pid'), current_setting('data_directory')`,
  );
  const lines = (pidFile ?? '').split('\n');
  const pids = await postgresRows(
    address,
    'select pid from pg_stat_activity where pid <> pg_backend_pid()',
  );
  return {
    postmaster: Number(lines[0]),
    others: pids.map(([pid]) => Number(pid)),
    folder: folder ?? '',
    segment: lines[6]?.trim().split(/\s+/)[1] ?? '',
  };
}

/** The folder and the segment, as far as they exist. */
export function leftOf({ folder, segment }: Holdings): string[] {
  const segments = readFileSync('/proc/sysvipc/shm', 'latin1').split('\n').slice(1);
  const isThere = segments.some((line) => line.trim().split(/\s+/)[1] === segment);
  return [...(existsSync(folder) ? [folder] : []), ...(isThere ? [`segment ${segment}`] : [])];
}
