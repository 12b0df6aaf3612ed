import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InvalidOptionError } from '@holdfast/foundation';
import type { TimelineFence } from './timeline-fence.ts';

/**
 * Keeps the latest timeline in a file, which is replaced as a whole and is on the disk before a new primary is
 * written to.
 * @param path of the file, in a folder that is there.
 * @throws InvalidOptionError; `load` and `store` reject with what the file system says, and `load` for a file
 *   that holds something else.
 */
export function createFileFence(path: string): TimelineFence {
  if (typeof path !== 'string' || path.length === 0) {
    throw new InvalidOptionError('createFileFence', 'path', path, 'the path of a file');
  }
  return { load: () => load(path), store: (timeline) => store(path, timeline) };
}

/** Each writes a file of its own before it takes the place of the one that is there. */
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
    `${path} does not hold a timeline; put the number of the present one there, or remove the file`,
  );
}

async function store(path: string, timeline: number): Promise<void> {
  // Another process may have seen a later one.
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
