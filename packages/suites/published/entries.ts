import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Project } from './pack.ts';

/** The entry points of installed packages: `@holdfast/queue/bullmq`. */
export async function entriesOf(project: Project, names: readonly string[]): Promise<string[]> {
  const entries: string[] = [];
  for (const name of names) {
    const path = join(project.folder, 'node_modules/@holdfast', name, 'package.json');
    const manifest = JSON.parse(await readFile(path, 'utf8'));
    for (const key of Object.keys(manifest.exports)) {
      if (key !== './package.json') entries.push(`@holdfast/${name}${key.slice(1)}`);
    }
  }
  return entries;
}

/** A module that imports and uses all of them, so that the compiler reads their declarations. */
export function importAll(entries: readonly string[]): string {
  return entries
    .map((entry, at) => `import * as entry${at} from '${entry}';\nvoid entry${at};\n`)
    .join('');
}
