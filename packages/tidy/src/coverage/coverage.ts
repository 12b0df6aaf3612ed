import { unitsOf } from './source-units.ts';

/** How many units of one kind ran. */
interface Share {
  readonly covered: number;
  readonly total: number;
}

/** What a run covered of a file, or of the files of a package. */
export interface Coverage {
  readonly lines: Share;
  readonly statements: Share;
  readonly branches: Share;
}

/** A file, and its lines that did not run. */
interface FileCoverage extends Coverage {
  readonly path: string;
  readonly missedLines: readonly number[];
}

/** @param counts how often each position of the source ran; absent for a file that no test loads. */
export function coverageOf(
  path: string,
  source: string,
  counts: Float64Array | undefined,
): FileCoverage {
  const { statements, branches } = unitsOf(source, (at) => counts?.[at] ?? 0);
  const lines = new Map<number, boolean>();
  for (const { line, ran } of statements) lines.set(line, ran || lines.get(line) === true);
  const missedLines = [...lines].filter(([, ran]) => !ran).map(([line]) => line);
  return {
    path,
    missedLines,
    lines: { covered: lines.size - missedLines.length, total: lines.size },
    statements: { covered: statements.filter(({ ran }) => ran).length, total: statements.length },
    branches: { covered: branches.filter(Boolean).length, total: branches.length },
  };
}

export function sumOf(files: readonly Coverage[]): Coverage {
  const sum = (kind: keyof Coverage): Share => ({
    covered: files.reduce((covered, file) => covered + file[kind].covered, 0),
    total: files.reduce((total, file) => total + file[kind].total, 0),
  });
  return { lines: sum('lines'), statements: sum('statements'), branches: sum('branches') };
}

/** In percent, rounded down: 90 means that at least 90 % ran. Nothing to cover is covered. */
export function percentOf({ covered, total }: Share): number {
  return total === 0 ? 100 : Math.floor((covered / total) * 1_000) / 10;
}
