/** Writes the pages of the API to `docs/reference`: `node packages/site/src/reference-main.ts`. */
import { join } from 'node:path';
import { writeReference } from './reference.ts';

await writeReference(join(import.meta.dirname, '../../..'));
