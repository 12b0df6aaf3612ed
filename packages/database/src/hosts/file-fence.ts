import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InvalidOptionError } from '@holdfast/foundation';
import type { TimelineFence } from './timeline-fence.ts';

/**
 * Stores the latest timeline in a file, which is replaced atomically and synced before a new primary gets writes.
 * @param path of the file, in an existing folder.
 * @throws InvalidOptionError; `load` and `store` reject with the file system's error, and `load` rejects if the
 *   file holds anything else.
 */
export function createFileFence(path: string): TimelineFence {
  if (typeof path !== 'string' || path.length === 0) {
    throw new InvalidOptionError('createFileFence', 'path', path, 'the path of a file');
  }
  return { load: () => load(path), store: (timeline) => store(path, timeline) };
}

/** Numbers the temporary files, each of which then replaces the stored one. */
let stores = 0;

async function load(path: string): Promise<number | undefined> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  if (/^\d{1,10}\n$/.test(content)) return Number(content);
  throw new TypeError(
    `${path} does not hold a timeline; write the number of the current one to it, or remove the file`,
  );
}

async function store(path: string, timeline: number): Promise<void> {
  // Another process may have stored a later one.
  if (((await load(path)) ?? 0) >= timeline) return;
  stores += 1;
  const next = `${path}.${process.pid}.${stores}`;
  const file = await open(next, 'w');
  try {
    await file.writeFile(`${timeline}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isAbsent(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
