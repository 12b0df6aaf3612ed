import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CodePage, isTypeScript } from './markdown.ts';

/** A block that a test runs. */
export interface RunnableBlock {
  /** `docs/index.md:24`: its page and its first line. */
  readonly name: string;
  readonly code: string;
  /** The lines that it has to print, if the page says so. */
  readonly prints: string | undefined;
}

/** How a block ended. */
export interface BlockResult {
  /** The status that the program ended with; undefined when it was ended because it took too long. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const PRINTS = /^# prints\n/;

/** The blocks marked `run`, with what the `text` block right after each says that it prints. */
export function runnableBlocksIn(pages: readonly CodePage[]): RunnableBlock[] {
  return pages.flatMap(({ path, blocks, context }) =>
    blocks.flatMap((block, at): RunnableBlock[] => {
      if (!isTypeScript(block) || !block.marks.includes('run')) return [];
      const next = blocks[at + 1];
      const prints =
        next?.language === 'text' && PRINTS.test(next.code)
          ? next.code.replace(PRINTS, '')
          : undefined;
      const code = [...context, block].map((each) => each.code).join('\n');
      return [{ name: `${path}:${block.line}`, code, prints }];
    }),
  );
}

/**
 * Runs a block as a program of its own.
 *
 * @param folder for its source, in a package that has what it imports.
 * @param replacements what stands in the block, such as an address, by what is to stand there.
 * @param limits `timeoutMs` after which it is ended, and what is added to its environment.
 */
export async function runBlock(
  folder: string,
  { name, code }: RunnableBlock,
  replacements: ReadonlyMap<string, string>,
  { timeoutMs, env }: { readonly timeoutMs: number; readonly env: NodeJS.ProcessEnv },
): Promise<BlockResult> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name.replaceAll(/[^\w]+/g, '-')}.ts`);
  let text = code;
  for (const [from, to] of replacements) text = text.replaceAll(from, to);
  writeFileSync(file, text);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      output[stream] += chunk;
    });
  }
  const status = await new Promise<number | undefined>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitStatus) => resolve(exitStatus ?? undefined));
  });
  return { status, ...output };
}
