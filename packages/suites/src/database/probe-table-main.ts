/** Runs every probe on every pool and writes the table between the markers of the database's README. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ProbeRow, probeTable, probes } from '@holdfast/database/probes';
import { pools } from './peers.ts';
import { probeInChild } from './probe-child.ts';

const README = join(import.meta.dirname, '../../../database/README.md');
const BEGIN = '<!-- probes -->';
const END = '<!-- /probes -->';

const columns: { pool: string; rows: ProbeRow[] }[] = [];
for (const pool of Object.keys(pools)) {
  const rows: ProbeRow[] = [];
  for (const { name } of probes) {
    const row = await probeInChild(pool, name);
    process.stdout.write(`${pool}: ${name}: ${row.verdict} (${row.seen})\n`);
    rows.push(row);
  }
  columns.push({ pool, rows });
}
const readme = await readFile(README, 'utf8');
const begin = readme.indexOf(BEGIN);
const end = readme.indexOf(END);
if (begin === -1 || end < begin) throw new Error(`${README} has no ${BEGIN} … ${END}`);
const table = `${BEGIN}\n\n${probeTable(probes, columns)}\n\n`;
await writeFile(README, readme.slice(0, begin) + table + readme.slice(end));
