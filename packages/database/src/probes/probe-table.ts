import type { PoolProbeResult, Verdict } from './probe.ts';

const marks: Readonly<Record<Verdict, string>> = {
  holds: '**holds**',
  degrades: 'errors',
  hangs: '**hangs**',
  lies: '**lies**',
  dies: '**process exits**',
};

/** The results of one pool. */
interface ProbedColumn {
  /** The pool's name. */
  readonly pool: string;
  readonly rows: readonly PoolProbeResult[];
}

/** The verdicts as a Markdown table: a row for each probe, a column for each pool. */
export function probeTable(
  probes: readonly { readonly name: string; readonly fault: string }[],
  columns: readonly ProbedColumn[],
): string {
  const head = ['probe', 'fault', ...columns.map(({ pool }) => pool)];
  const body = probes.map(({ name, fault }) => [
    name,
    fault,
    ...columns.map(({ rows }) => cellOf(rows.find(({ probe }) => probe === name))),
  ]);
  return [head, head.map(() => '---'), ...body].map(lineOf).join('\n');
}

function cellOf(row: PoolProbeResult | undefined): string {
  return row === undefined ? 'not run' : `${marks[row.verdict]}: ${row.seen}`;
}

function lineOf(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
