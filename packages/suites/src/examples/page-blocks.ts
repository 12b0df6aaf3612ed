import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Example, ExampleFixture } from './example.ts';

const ROOT = join(import.meta.dirname, '../../../..');
export type PageColumn = 'peer' | 'holdfast';

/** A table of two blocks of code: what one writes with the peer, and what with Holdfast. */
interface Comparison {
  /** The heading above it. */
  readonly heading: string;
  readonly code: Readonly<Record<PageColumn, string>>;
}

/** Every comparison of a page of `docs/moving`, in the order of the page. */
export async function comparisonsOf(page: string): Promise<Comparison[]> {
  const text = await readFile(join(ROOT, 'docs/moving', page), 'utf8');
  return text.split(/^## /m).flatMap((section) => {
    const table = /<table>(.*?)<\/table>/s.exec(section)?.[1];
    if (table === undefined) return [];
    const [peer = '', holdfast = ''] = [...table.matchAll(/```ts\n(.*?)```/gs)].map(
      ([, code = '']) => code,
    );
    return [{ heading: section.split('\n')[0] ?? '', code: { peer, holdfast } }];
  });
}

/** Starts one column of a comparison, word for word, as a program of its own. */
export async function runBlock(
  fixture: ExampleFixture,
  code: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Example> {
  const folder = await fixture.directory();
  await mkdir(join(folder, 'state'));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'program.ts'), code);
  const state = {
    JOBS_DIRECTORY: join(folder, 'state/jobs'),
    JOURNAL_DIRECTORY: join(folder, 'state/journal'),
  };
  return fixture.start({ folder, entry: 'program.ts', env: { ...state, ...env } });
}
