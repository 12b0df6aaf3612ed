import { join } from 'node:path';
import type { FileSystem } from '@holdfast/journal';
import { propertyOf } from '@holdfast/foundation';
import type { BackupOrder } from './errors.ts';

/** A file by its name, which a rename gives it as a whole: it is known even where the content is damaged. */
export interface BackupName extends BackupOrder {
  readonly path: string;
}

/** Negative where `a` is newer. */
export function newestFirst(a: BackupOrder, b: BackupOrder): number {
  return b.token - a.token || b.generation - a.generation;
}

export function backupPath(directory: string, token: number, generation: number): string {
  return join(directory, `catalog-${token}-${generation}.backup`);
}

export const TEMPORARY_SUFFIX = '.tmp';

/** The backups of a directory, the newest first; none if there is no directory. */
export async function listBackups(files: FileSystem, directory: string): Promise<BackupName[]> {
  const found: BackupName[] = [];
  for (const name of await listNames(files, directory)) {
    const [, token, generation] = /^catalog-(\d{1,16})-(\d{1,16})\.backup$/.exec(name) ?? [];
    if (token === undefined || generation === undefined) continue;
    found.push({
      path: join(directory, name),
      token: Number(token),
      generation: Number(generation),
    });
  }
  return found.toSorted(newestFirst);
}

/** What writers that died have left; only for the owner of the directory. */
export async function removeTemporaries(files: FileSystem, directory: string): Promise<void> {
  for (const name of await listNames(files, directory)) {
    if (!/^catalog-\d{1,16}-\d{1,16}\.backup\.tmp$/.test(name)) continue;
    await files.remove(join(directory, name));
  }
}

async function listNames(files: FileSystem, directory: string): Promise<string[]> {
  try {
    return await files.list(directory);
  } catch (error) {
    if (propertyOf(error, 'code') === 'ENOENT') return [];
    throw error;
  }
}
