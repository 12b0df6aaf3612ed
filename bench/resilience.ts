/**
 * Measures the cost of each policy next to its peers: CPU time in units of a bare `await`, and bytes
 * allocated per operation. `BENCH_CASES` selects the cases whose group or name contains it.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { costCases, retainedCases } from './resilience/cases.ts';

interface Result {
  readonly ratio?: number;
  readonly cpuNs?: number;
  readonly bytes?: number;
  readonly missing?: string;
}

const run = promisify(execFile);

/** One process per case, so that the type feedback of one peer does not affect the next. */
async function measured(what: 'cpu' | 'bytes', group: string, name: string): Promise<Result> {
  const script = join(import.meta.dirname, 'resilience', 'one-case.ts');
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning'];
  // Large enough that no collection happens during the count.
  if (what === 'bytes') flags.push('--min-semi-space-size=256', '--max-semi-space-size=256');
  const { stdout } = await run(process.execPath, [...flags, script, what, group, name]);
  const result: Result = JSON.parse(stdout);
  return result;
}

const wanted = process.env['BENCH_CASES'] ?? '';
const cases = [...costCases, ...retainedCases].filter(
  ({ group, name }) => group.includes(wanted) || name.includes(wanted),
);
const misses: string[] = [];
let lastGroup = '';

for (const { group, name, ...bars } of cases) {
  if (group !== lastGroup) {
    process.stdout.write(
      `\n| ${group.padEnd(44)} | x bare |  CPU ns |   bytes |\n|---|---:|---:|---:|\n`,
    );
    lastGroup = group;
  }
  const { ratio, cpuNs, missing } = await measured('cpu', group, name);
  const { bytes } = await measured('bytes', group, name);
  const bar = 'bar' in bars ? bars.bar : undefined;
  const over =
    (ratio !== undefined && bar !== undefined && ratio > bar) ||
    (bytes !== undefined && bars.barBytes !== undefined && bytes > bars.barBytes);
  if (over) misses.push(`${group}, ${name}`);
  const cells = [
    name.padEnd(44),
    (missing === undefined ? (ratio?.toFixed(1) ?? '') : missing).padStart(6),
    (cpuNs === undefined ? '' : Math.round(cpuNs).toLocaleString('en')).padStart(7),
    (bytes === undefined ? '' : Math.round(bytes).toLocaleString('en')).padStart(7),
  ];
  process.stdout.write(`| ${cells.join(' | ')} |${over ? ' over its bar' : ''}\n`);
}
if (misses.length > 0) {
  process.stderr.write(`\nover their bar: ${misses.join('; ')}\n`);
  process.exitCode = 1;
}
