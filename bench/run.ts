/** Runs the benchmark of one topic, or all: `pnpm bench journal`. */
import { readdir } from 'node:fs/promises';

/** Folders whose files are topics too: `catalog/search.ts` is `catalog-search`. */
const FAMILIES = ['atlas', 'catalog'];

async function topicsIn(folder: string, prefix: string): Promise<[topic: string, path: string][]> {
  const names = await readdir(`${import.meta.dirname}/${folder}`);
  return names
    .filter((name) => name.endsWith('.ts') && name !== 'run.ts')
    .map((name) => [prefix + name.slice(0, -'.ts'.length), `./${folder}${name}`]);
}

const families = FAMILIES.map((family) => topicsIn(`${family}/`, `${family}-`));
const found = (await Promise.all([topicsIn('', ''), ...families])).flat();
const topics = new Map(found.toSorted(([left], [right]) => (left < right ? -1 : 1)));
const wanted = process.argv.slice(2).find((argument) => !argument.startsWith('--'));

if (wanted !== undefined && !topics.has(wanted)) {
  process.stderr.write(`bench: no topic ${wanted}; there are: ${[...topics.keys()].join(', ')}\n`);
  process.exitCode = 1;
} else {
  const paths = wanted === undefined ? [...topics.values()] : [topics.get(wanted) ?? ''];
  for (const path of paths) await import(path);
}
