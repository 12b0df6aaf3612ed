import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writtenPagesIn } from '../pages.ts';

/** A fenced block of code in a Markdown file. */
export interface CodeBlock {
  /** The line of the file on which the code begins, from 1. */
  readonly line: number;
  /** The first word after the fence: `ts`. */
  readonly language: string;
  /** The words after it: `run`. */
  readonly marks: readonly string[];
  readonly code: string;
}

/** A Markdown file, as far as its code is concerned. */
export interface CodePage {
  /** From the root of the repository. */
  readonly path: string;
  readonly blocks: readonly CodeBlock[];
  /** Code in comments `<!-- context ... -->`, which readers do not see. */
  readonly context: readonly CodeBlock[];
}

const FENCE = /^( *)(`{3,})([\w-]*)(.*)$/;
const CONTEXT = /^<!-- context$/;

/** The blocks and the context of a Markdown file. A fence may be indented, as in a list. */
export function codePageOf(path: string, text: string): CodePage {
  const lines = text.split('\n');
  const blocks: CodeBlock[] = [];
  const context: CodeBlock[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const begin = at + 1;
    const [, indent = '', fence, language = '', rest = ''] = FENCE.exec(line) ?? [];
    if (fence !== undefined) {
      at = endOf(lines, begin, (each) => each.trim() === fence);
      const code = lines.slice(begin, at).map((each) => each.slice(indent.length));
      const marks = rest.split(/\s+/).filter((mark) => mark !== '');
      blocks.push({ line: begin + 1, language, marks, code: code.join('\n') });
    } else if (CONTEXT.test(line)) {
      at = endOf(lines, begin, (each) => each.trim() === '-->');
      const code = lines.slice(begin, at).join('\n');
      context.push({ line: begin + 1, language: 'ts', marks: [], code });
    }
  }
  return { path, blocks, context };
}

export function isTypeScript({ language }: CodeBlock): boolean {
  return /^(?:ts|typescript|tsx|mts)$/.test(language);
}

/** The documents of the repository with code: the pages of the site that are written by hand, and those beside it. */
export function codePagesIn(root: string): CodePage[] {
  return [...writtenPagesIn(root), 'README.md', '.github/CONTRIBUTING.md'].map((path) =>
    codePageOf(path, readFileSync(join(root, path), 'utf8')),
  );
}

function endOf(lines: readonly string[], from: number, isEnd: (line: string) => boolean): number {
  const at = lines.findIndex((line, index) => index >= from && isEnd(line));
  return at === -1 ? lines.length : at;
}
