/** `node collect.ts <program> <folder>`: writes a program and all it imports into a folder; prints its entry. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { programFiles } from '@holdfast/emulators/programs';

const [, , program = '', folder = ''] = process.argv;
const { main, files } = programFiles(pathToFileURL(program), '/holdfast');
mkdirSync(join(folder, 'holdfast'), { recursive: true });
for (const { path, content } of files) writeFileSync(join(folder, path), content);
process.stdout.write(main);
