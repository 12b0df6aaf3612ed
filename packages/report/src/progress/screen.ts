import { stripVTControlCharacters, styleText } from 'node:util';
import { cut, displayWidth, wrap } from '../render/width.ts';

/** Where progress is written: the standard output, or a stand-in. */
export interface Output {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** The width where no terminal tells its own, as in a file or the log of a CI job. */
const DEFAULT_COLUMNS = 80;
const INDENT = '    ';
const CLEAR_LINE = '\r\u001B[K';

/** The width of an output: that of the terminal, else `COLUMNS`, else 80. */
export function widthOf({ columns }: Output, given: string | undefined): number {
  if (columns !== undefined && columns > 0) return columns;
  const asked = Number(given);
  return Number.isSafeInteger(asked) && asked > 0 ? asked : DEFAULT_COLUMNS;
}

/**
 * Writes lines above a bar. On a terminal a line is cut to its width and the bar stays below; elsewhere lines are
 * wrapped, for nobody can widen a file, and there is no bar.
 */
export class Screen {
  readonly #output: Output;
  readonly #columnsVariable: string | undefined;
  readonly #hasColor: boolean;
  #bar = '';

  /** @param variables the environment: `COLUMNS`, `NO_COLOR` */
  constructor(output: Output, variables: Readonly<Record<string, string | undefined>>) {
    this.#output = output;
    this.#columnsVariable = variables['COLUMNS'];
    this.#hasColor = output.isTTY === true && variables['NO_COLOR'] === undefined;
  }

  get isLive(): boolean {
    return this.#output.isTTY === true;
  }

  get columns(): number {
    return widthOf(this.#output, this.#columnsVariable);
  }

  /** Removes what Jest has written on the line while it looked for tests. */
  clear(): void {
    if (this.isLive) this.#output.write(CLEAR_LINE);
  }

  line(text: string): void {
    if (!this.isLive) this.#write(wrap(text, this.columns, INDENT));
    else this.#write([this.#hasColor ? paint(cut(text, this.columns)) : cut(text, this.columns)]);
  }

  /** Lines that are wrapped everywhere, such as those of a failure; only a line that has to be loses its colors. */
  paragraph(lines: readonly string[]): void {
    this.#write(
      lines.flatMap((line) => {
        const plain = stripVTControlCharacters(line);
        return displayWidth(plain) <= this.columns ? [line] : wrap(plain, this.columns, INDENT);
      }),
    );
  }

  /** Replaces the bar; an empty one is removed. Nothing is written where there is no terminal. */
  bar(text: string): void {
    if (!this.isLive || (text === '' && this.#bar === '')) return;
    // The last cell stays free: some terminals break the line there.
    const bar = cut(text, this.columns - 1);
    if (bar === this.#bar) return;
    this.#bar = bar;
    this.#output.write(CLEAR_LINE + this.#bar);
  }

  #write(lines: readonly string[]): void {
    const text = lines.map((line) => `${line}\n`).join('');
    this.#output.write(this.#bar === '' ? text : CLEAR_LINE + text + this.#bar);
  }
}

/** Colors the outcome of a line. */
function paint(line: string): string {
  return line.replace(/^(\d+ )?(ok|FAILED|BROKEN)\b/u, (_, number: string = '', word: string) => {
    const format = word === 'ok' ? 'green' : 'red';
    return number + styleText(format, word, { validateStream: false });
  });
}
