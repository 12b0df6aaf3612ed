import type { OutputStream } from '../context.ts';

/** Where the width of a terminal is not known, and of lines that go to a file. */
const USUAL_COLUMNS = 80;

/** The columns of a line that does not move the cursor to the next one. */
export function widthOf(stream: OutputStream): number {
  // Some terminals report 0.
  return Math.max(1, (stream.columns || USUAL_COLUMNS) - 1);
}

/**
 * Breaks a text between words, and a word that is longer than a line where the line ends. Other spaces are kept.
 * @param indent of every line but the first.
 */
export function wrap(text: string, width: number, indent = ''): string[] {
  const margin = indent.length < width ? indent : '';
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const at = rest.lastIndexOf(' ', width);
    // Not in the margin, which would not make it shorter.
    const isBetweenWords = rest.slice(0, Math.max(0, at)).trim() !== '';
    const end = isBetweenWords ? at : width;
    lines.push(rest.slice(0, end).trimEnd());
    rest = margin + rest.slice(end).trimStart();
  }
  return [...lines, rest];
}
