/** Writes the published types of each package to `docs/api`: `node packages/tidy/src/api-main.ts`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiSurfaceOf } from './api-surface.ts';
import { publishedPackagesIn, readRepository } from './repository.ts';

const root = join(import.meta.dirname, '../../..');
mkdirSync(join(root, 'docs/api'), { recursive: true });
for (const { name } of publishedPackagesIn(readRepository(root))) {
  const surface = apiSurfaceOf(join(root, 'packages', name));
  writeFileSync(join(root, 'docs/api', `${name}.txt`), surface);
}
