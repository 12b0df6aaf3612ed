import { type Coverage, percentOf } from './coverage.ts';

/** What the unit tests of a package cover, and whether they passed. */
interface PackageCoverage {
  readonly name: string;
  readonly passed: boolean;
  readonly coverage: Coverage;
}

/** The least share of the lines of a package, in percent. */
const LINES_MIN = 90;

/** Whether less of the lines ran than has to. */
export function isBelow({ coverage }: PackageCoverage): boolean {
  return percentOf(coverage.lines) < LINES_MIN;
}

/** The lines of a table in Markdown, a row for each package. */
export function renderTable(packages: readonly PackageCoverage[]): string[] {
  const width = Math.max(7, ...packages.map(({ name }) => name.length));
  const row = (...cells: string[]): string => `| ${cells.join(' | ')} |`;
  return [
    row('Package'.padEnd(width), 'Lines  ', 'Statements', 'Branches', 'Notes'),
    row('-'.repeat(width), '------:', '---------:', '-------:', '-----'),
    ...packages.map((one) =>
      row(
        one.name.padEnd(width),
        shown(one.coverage.lines, 7),
        shown(one.coverage.statements, 10),
        shown(one.coverage.branches, 8),
        notesOf(one),
      ),
    ),
  ];
}

function shown(share: Coverage['lines'], width: number): string {
  return `${percentOf(share).toFixed(1)} %`.padStart(width);
}

function notesOf(one: PackageCoverage): string {
  const notes = [
    ...(one.passed ? [] : ['a test failed']),
    ...(isBelow(one) ? [`below ${LINES_MIN} %`] : []),
  ];
  return notes.join(', ');
}
