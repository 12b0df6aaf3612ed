import { stripVTControlCharacters } from 'node:util';

/** The least room for text in a line: no screen is narrower. */
const NARROWEST = 8;

/** Replaces characters of foreign text that move the cursor or break the line. */
export function oneLine(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const wide =
  /\p{Emoji_Presentation}|\uFE0F|[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|[\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u;

/** The number of terminal cells of a text. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}

/** The text when it fits into `width` cells, else its beginning and an ellipsis. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  return `${beginning(text, width - 1)}…`;
}

/**
 * Breaks a text between words into lines of at most `columns` cells. The first line begins with `first`, the others
 * with `indent`.
 */
export function wrap(text: string, columns: number, indent = '', first = ''): string[] {
  const width = Math.max(columns, Math.max(indent.length, first.length) + NARROWEST);
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(' ')) {
    const longer = isEmpty ? line + word : `${line} ${word}`;
    if (displayWidth(longer) <= width) {
      line = longer;
      isEmpty = false;
      continue;
    }
    if (!isEmpty) lines.push(line);
    line = (isEmpty ? line : indent) + word;
    isEmpty = false;
    // A word that is wider than a line, such as a path.
    while (displayWidth(line) > width) {
      const piece = beginning(line, width);
      lines.push(piece);
      line = indent + line.slice(piece.length);
    }
  }
  return [...lines, line];
}

function beginning(text: string, width: number): string {
  let kept = '';
  let cells = 0;
  for (const { segment } of graphemes.segment(text)) {
    cells += wide.test(segment) ? 2 : 1;
    if (cells > width) break;
    kept += segment;
  }
  return kept;
}
