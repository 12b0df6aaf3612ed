import type { Client } from 'pg';
import type { RowProof } from '../manifest.ts';

/** Rows are hashed as text: whatever changes the text of an equal value is set here. */
const SETTINGS = [
  "set local search_path = 'pg_catalog'",
  "set local datestyle = 'ISO, YMD'",
  "set local intervalstyle = 'postgres'",
  "set local timezone = 'UTC'",
  "set local bytea_output = 'hex'",
  'set local extra_float_digits = 1',
  "set local lc_monetary = 'C'",
  'set local row_security = off',
];

/** The tables that pg_dump dumps the rows of: no system's, no extension's, no temporary ones. */
const TABLES = `select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and c.relpersistence <> 't'
    and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and not exists (select 1 from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
  order by 1`;

/** Counts the rows, and adds up their hashes: 120 bits of each, so that order and place do not matter. */
const proofOf = (table: string): string => `
  select pg_catalog.count(*)::text as rows,
    coalesce(pg_catalog.sum(('x' || pg_catalog.left(h, 15))::bit(60)::bigint), 0)::text || '-' ||
    coalesce(pg_catalog.sum(('x' || pg_catalog.substr(h, 16, 15))::bit(60)::bigint), 0)::text as sum
  from (select pg_catalog.md5(t::text) as h from only ${table} t) hashed`;

/** The proofs of all tables as the client's transaction sees them. */
export async function proveRows(client: Client): Promise<RowProof[]> {
  for (const setting of SETTINGS) await client.query(setting);
  const { rows: tables } = await client.query(TABLES);
  const proofs: RowProof[] = [];
  for (const { name } of tables) {
    const { rows } = await client.query(proofOf(String(name)));
    const [proof] = rows;
    proofs.push({ table: String(name), rows: String(proof?.rows), sum: String(proof?.sum) });
  }
  return proofs;
}

/** The tables whose rows differ, are missing, or were not there. */
export function differingTables(
  expected: readonly RowProof[],
  found: readonly RowProof[],
): string[] {
  const byTable = new Map(found.map((proof) => [proof.table, proof]));
  const differing = expected.filter(({ table, rows, sum }) => {
    const proof = byTable.get(table);
    byTable.delete(table);
    return proof?.rows !== rows || proof.sum !== sum;
  });
  return [...differing.map(({ table }) => table), ...byTable.keys()];
}
