/** Runs every probe on every pool and writes the table between the markers of docs/results/database-probes.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PoolProbeResult, probeTable, probes } from '@holdfast/database/probes';
import { pools } from './peers.ts';
import { probeInChild } from './probe-child.ts';

const PAGE = join(import.meta.dirname, '../../../../docs/results/database-probes.md');
const BEGIN = '<!-- probes -->';
const END = '<!-- /probes -->';

const columns: { pool: string; rows: PoolProbeResult[] }[] = [];
for (const pool of Object.keys(pools)) {
  const rows: PoolProbeResult[] = [];
  for (const { name } of probes) {
    const row = await probeInChild(pool, name);
    process.stdout.write(`${pool}: ${name}: ${row.verdict} (${row.seen})\n`);
    rows.push(row);
  }
  columns.push({ pool, rows });
}
const page = await readFile(PAGE, 'utf8');
const begin = page.indexOf(BEGIN);
const end = page.indexOf(END);
if (begin === -1 || end < begin) throw new Error(`${PAGE} has no ${BEGIN} … ${END}`);
const table = `${BEGIN}\n\n${probeTable(probes, columns)}\n\n`;
await writeFile(PAGE, page.slice(0, begin) + table + page.slice(end));
