/** The part of `process.stdout` that is used. */
export interface TerminalStream {
  readonly isTTY?: boolean;
  /** Of the terminal, at this moment. */
  readonly columns?: number;
  write(text: string): unknown;
}

/** Where the width of a terminal is not known. */
const USUAL_COLUMNS = 80;

/** What fits on a line without the cursor going to the next; no bound where lines go to a file. */
export function widthOf(stream: TerminalStream): number {
  if (stream.isTTY !== true) return Number.POSITIVE_INFINITY;
  // Some terminals report 0.
  return Math.max(1, (stream.columns || USUAL_COLUMNS) - 1);
}

/** A text from elsewhere on one line: no control characters, with which it could write over what others wrote. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

/** The beginning that fits; wide characters count twice. */
export function cut(text: string, width: number): string {
  if (columnsOf(text) <= width) return text;
  let [kept, used] = ['', 0];
  for (const character of text) {
    used += columnsOf(character);
    // One column is for the ellipsis.
    if (used > width - 1) break;
    kept += character;
  }
  return width >= 1 ? `${kept}…` : '';
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** The columns that a terminal takes for a printable text. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (!/\p{M}/u.test(character)) columns += WIDE.test(character) ? 2 : 1;
  }
  return columns;
}

export type TableRow = readonly string[];

/**
 * Rows in columns that are as wide as what they hold. On a terminal, what is too wide is cut, the widest columns first.
 * @param numeric the columns that end at the right.
 */
export function table(
  rows: readonly TableRow[],
  width: number,
  numeric: readonly number[] = [],
): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = (cells[0] ?? []).map((_, at) =>
    Math.max(...cells.map((row) => columnsOf(row[at] ?? ''))),
  );
  const between = 2 * Math.max(0, widths.length - 1);
  while (widths.reduce((sum, each) => sum + each, between) > width) {
    const widest = Math.max(...widths);
    if (widest <= 1) break;
    widths[widths.indexOf(widest)] = widest - 1;
  }
  return cells
    .map((row) => {
      const line = row.map((cell, at) => {
        const text = cut(cell, widths[at] ?? 0);
        const room = ' '.repeat(Math.max(0, (widths[at] ?? 0) - columnsOf(text)));
        return numeric.includes(at) ? room + text : text + room;
      });
      return `${cut(line.join('  ').trimEnd(), width)}\n`;
    })
    .join('');
}

/** Such as `5,148`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Such as `90 s`, `12 min`, `5 h` or `30 d`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
