import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
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
  if (!isFolder(dirname(path))) {
    throw new InvalidOptionError('createFileFence', 'path', path, 'in an existing folder');
  }
  return { load: () => load(path), store: (timeline) => store(path, timeline) };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The end of the name of a file that is to replace the stored one: its timeline, and a UUID. */
const NEXT = /^(\d{1,10})\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function load(path: string): Promise<number | undefined> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    if (!isAbsent(error)) throw error;
    // Without its folder, perhaps unmounted, it cannot be said that none was ever stored.
    await stat(dirname(path));
    return undefined;
  }
  if (/^\d{1,10}\n$/.test(content)) return Number(content);
  throw new TypeError(
    `${path} does not hold a timeline; write the number of the current one to it, or remove the file`,
  );
}

/**
 * Several may store at once, in any number of processes. Each writes a file of its own and then renames it; whoever has
 * renamed removes the files of those with earlier timelines, and reads the result. So one of them that was about to
 * overwrite a later timeline fails to, and begins anew.
 */
async function store(path: string, timeline: number): Promise<void> {
  while (((await load(path)) ?? 0) < timeline) {
    const next = `${path}.${timeline}.${randomUUID()}`;
    await writeSynced(next, `${timeline}\n`);
    // Only now: whoever stored a later one before did not see the file.
    if (((await load(path)) ?? 0) >= timeline) {
      await rm(next, { force: true });
      return;
    }
    if (!(await succeeds(rename(next, path)))) continue;
    await removeEarlier(path, timeline);
    await syncFolder(dirname(path));
  }
}

async function writeSynced(path: string, content: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Removes the files that were to replace the stored one by an earlier timeline; some may be those of ended processes. */
async function removeEarlier(path: string, timeline: number): Promise<void> {
  const prefix = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    const found = name.startsWith(prefix) ? NEXT.exec(name.slice(prefix.length)) : null;
    if (found !== null && Number(found[1]) <= timeline) {
      await rm(join(dirname(path), name), { force: true });
    }
  }
}

/** @returns false if the file had been removed. */
async function succeeds(renaming: Promise<void>): Promise<boolean> {
  try {
    await renaming;
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
