/** Runs the benchmark of one topic, or all: `pnpm bench journal`. */
import { readdir } from 'node:fs/promises';

const topics = (await readdir(import.meta.dirname))
  .filter((name) => name.endsWith('.ts') && !['run.ts', 'measure.ts', 'rounds.ts'].includes(name))
  .map((name) => name.slice(0, -'.ts'.length))
  .toSorted();
const wanted = process.argv.slice(2).find((argument) => argument !== '--');

if (wanted !== undefined && !topics.includes(wanted)) {
  process.stderr.write(`bench: no topic ${wanted}; there are: ${topics.join(', ')}\n`);
  process.exitCode = 1;
} else {
  for (const topic of wanted === undefined ? topics : [wanted]) {
    await import(`./${topic}.ts`);
  }
}
