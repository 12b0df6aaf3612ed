import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const PAGE = join(import.meta.dirname, '../../../docs/results/mutation.md');
const BEGIN = '<!-- mutation -->';
const END = '<!-- /mutation -->';

/** The result of one run over one target. */
export interface MutationResult {
  readonly target: string;
  readonly seed: number;
  /** How many mutants there are, were tried, were noticed. */
  readonly all: number;
  readonly tried: number;
  readonly noticed: number;
  /** `file:line` of those that were not. */
  readonly survivors: readonly string[];
}

/** Writes the row of the target into the table of docs/results/mutation.md, in place of its earlier one. */
export async function publish(result: MutationResult): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`${PAGE} has no ${BEGIN} … ${END}`);
  const [head = '', rule = '', ...rows] = page
    .slice(begin + BEGIN.length, end)
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const others = rows.filter((row) => row.split('|')[1]?.trim() !== result.target);
  const sorted = [...others, rowOf(result)].toSorted((left, right) => left.localeCompare(right));
  const table = [head, rule, ...sorted].join('\n');
  await writeFile(PAGE, `${page.slice(0, begin)}${BEGIN}\n\n${table}\n\n${page.slice(end)}`);
}

function rowOf({ target, seed, all, tried, noticed, survivors }: MutationResult): string {
  const score = `${((noticed / tried) * 100).toFixed(1)} %`;
  const left = survivors.length === 0 ? 'nothing' : survivors.map((at) => `\`${at}\``).join(', ');
  const cells = [target, all, seed, tried, noticed, score, left];
  return `| ${cells.join(' | ')} |`;
}
