import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { EXAMPLES } from '../../src/examples/example.ts';

const RECIPES = join(EXAMPLES, '../docs/recipes');
/** The recipes with a folder of their own. */
const recipes: Readonly<Record<string, string>> = {
  'aws-lambda': 'lambda',
  'cluster-and-pm2': 'cluster',
  express: 'express',
  fastify: 'fastify',
  hono: 'hono',
  kubernetes: 'kubernetes',
  nestjs: 'nestjs',
  nextjs: 'next',
  worker: 'worker',
};

/** Without whitespace, commas at the end of lists, and the type that a page leaves out. */
function essence(code: string): string {
  return code.replaceAll(': Promise<void>', '').replaceAll(/\s+|,(?=\s*[)\]}])/g, '');
}

async function sourceOf(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true });
  const files = names.filter(
    (name) => !name.includes('node_modules') && /\.(?:[cm]?[jt]sx?|ya?ml)$/.test(name),
  );
  return (await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))).join('\n');
}

test('every example has a recipe', async () => {
  const folders = await readdir(EXAMPLES);
  expect(folders.toSorted()).toEqual(Object.values(recipes).toSorted());
});

test.each(Object.entries(recipes))(
  'the code of the recipe %s is that of its example',
  async (recipe, example) => {
    const text = await readFile(join(RECIPES, `${recipe}.md`), 'utf8');
    const blocks = [...text.matchAll(/```(?:js|yaml)\n(.*?)```/gs)].map(([, code = '']) => code);
    expect(blocks.length).toBeGreaterThan(0);
    const source = essence(await sourceOf(join(EXAMPLES, example)));
    for (const block of blocks) expect(source).toContain(essence(block));
  },
);
