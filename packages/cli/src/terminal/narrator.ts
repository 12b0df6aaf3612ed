import type { CliContext } from '../context.ts';
import { widthOf, wrap } from './wrap.ts';

export type LineTone = 'plain' | 'bad' | 'good' | 'dim';

const codes: Readonly<Record<LineTone, string>> = { plain: '', bad: '31', good: '32', dim: '2' };

/** Writes lines that fit the terminal, in color where it has colors and NO_COLOR does not forbid them. */
export class Narrator {
  readonly #context: Pick<CliContext, 'stdout' | 'variables'>;
  readonly #hasColors: boolean;

  constructor(context: Pick<CliContext, 'stdout' | 'variables'>) {
    const { stdout, variables } = context;
    this.#context = context;
    this.#hasColors =
      stdout.isTTY === true && !variables['NO_COLOR'] && variables['TERM'] !== 'dumb';
  }

  /** @param indent of the lines after the first, when the text needs more than one. */
  say(text: string, tone: LineTone = 'plain', indent = ''): void {
    const { stdout } = this.#context;
    const lines = wrap(text, widthOf(stdout), indent).map((line) => this.#painted(line, tone));
    stdout.write(`${lines.join('\n')}\n`);
  }

  #painted(line: string, tone: LineTone): string {
    if (!this.#hasColors || codes[tone] === '') return line;
    return `\u001B[${codes[tone]}m${line}\u001B[0m`;
  }
}
