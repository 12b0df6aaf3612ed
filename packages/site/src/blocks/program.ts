import { type CodeBlock, type CodePage, isTypeScript } from './markdown.ts';

/** The blocks of a page as one module, with the line of the page for each of its lines. */
export interface PageProgram {
  readonly code: string;
  /** `lines[0]` is the line of the page of the first line of `code`; 0 for a line that is not of the page. */
  readonly lines: readonly number[];
}

const IMPORT = /^import\b(?!\s*[.(])[^;]*;[^\S\n]*(?:\/\/[^\n]*)?$/gm;
const EXPORT =
  /^export (?:default )?(?=(?:async |declare )?(?:const|let|function|class|interface|type)\b)/gm;

/**
 * Nests the blocks of a page: what a block declares is known to those after it, and they may declare it again.
 * Imports come first, each once, because only a module has them, and then the context, in which `declare` may stand.
 */
export function pageProgramOf({ blocks, context }: CodePage): PageProgram | undefined {
  const typescript = blocks.filter(isTypeScript);
  if (typescript.length === 0) return undefined;
  const all = [...context, ...typescript];
  const written: { text: string; line: number }[] = [];
  const write = (text: string, line: number): void => {
    for (const [at, each] of text.split('\n').entries()) {
      written.push({ text: each, line: line === 0 ? 0 : line + at });
    }
  };
  const imports = new Set<string>();
  for (const block of all) {
    for (const { 0: text, index } of block.code.matchAll(IMPORT)) {
      if (imports.has(text)) continue;
      imports.add(text);
      write(text, block.line + lineBreaksIn(block.code.slice(0, index)));
    }
  }
  for (const block of context) write(bodyOf(block), block.line);
  write('export async function page(): Promise<void> {', 0);
  for (const block of typescript) {
    write('{', 0);
    write(bodyOf(block), block.line);
  }
  write(`${'}'.repeat(typescript.length)}}`, 0);
  return {
    code: written.map(({ text }) => text).join('\n'),
    lines: written.map(({ line }) => line),
  };
}

/** The code without its imports, which keeps its lines, and without `export`, which only a module has. */
function bodyOf({ code }: CodeBlock): string {
  return code
    .replaceAll(IMPORT, (text) => '\n'.repeat(lineBreaksIn(text)))
    .replaceAll(EXPORT, '')
    .replaceAll(/^export default /gm, 'void ');
}

function lineBreaksIn(text: string): number {
  return text.split('\n').length - 1;
}
