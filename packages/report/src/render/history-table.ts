import { formatDuration } from '../duration.ts';
import type { HistoryEntry } from '../history/entry.ts';
import { oneLine } from './width.ts';

interface Column {
  readonly title: string;
  /** The column with the greatest number is left out first where the line is too narrow. */
  readonly dispensable: number;
  readonly align: 'left' | 'right';
  readonly read: (entry: HistoryEntry) => string;
}

const GAP = '  ';

const columnsOf: readonly Column[] = [
  {
    title: 'Started',
    dispensable: 2,
    align: 'left',
    read: ({ startedAt }) => startedAt.slice(0, 16).replace('T', ' '),
  },
  { title: 'Report', dispensable: 5, align: 'left', read: ({ report }) => report },
  { title: 'Commit', dispensable: 4, align: 'left', read: ({ commit }) => commit ?? '–' },
  { title: 'Stage', dispensable: 7, align: 'left', read: ({ stage }) => stage ?? '–' },
  { title: 'Passed', dispensable: 1, align: 'right', read: ({ totals }) => String(totals.passed) },
  { title: 'Failed', dispensable: 0, align: 'right', read: ({ totals }) => String(totals.failed) },
  {
    title: 'Skipped',
    dispensable: 6,
    align: 'right',
    read: ({ totals }) => String(totals.skipped),
  },
  { title: 'Lost', dispensable: 0, align: 'right', read: ({ lost }) => String(lost) },
  {
    title: 'Time',
    dispensable: 3,
    align: 'right',
    read: ({ durationMs, interrupted }) =>
      `${formatDuration(durationMs)}${interrupted ? ' (stopped)' : ''}`,
  },
];

/**
 * Renders runs as a table, no line wider than `columns`: where it is narrow, columns are left out, `Failed` and
 * `Lost` last, and then lines are cut.
 */
export function renderHistory(entries: readonly HistoryEntry[], columns: number): string[] {
  if (entries.length === 0) return [];
  let shown = columnsOf.map((column) => ({ column, cells: cellsOf(column, entries) }));
  const width = (): number =>
    shown.reduce((sum, { cells }) => sum + widest(cells) + GAP.length, -GAP.length);
  while (width() > columns && shown.length > 2) {
    const least = Math.max(...shown.map(({ column }) => column.dispensable));
    shown = shown.filter(({ column }) => column.dispensable !== least);
  }
  return Array.from({ length: entries.length + 1 }, (_, row) =>
    shown
      .map(({ column, cells }) => {
        const cell = cells[row] ?? '';
        return column.align === 'left' ? cell.padEnd(widest(cells)) : cell.padStart(widest(cells));
      })
      .join(GAP)
      .trimEnd()
      .slice(0, columns),
  );
}

function cellsOf({ title, read }: Column, entries: readonly HistoryEntry[]): string[] {
  return [title, ...entries.map((entry) => oneLine(read(entry)))];
}

function widest(cells: readonly string[]): number {
  return cells.reduce((most, { length }) => Math.max(most, length), 0);
}
