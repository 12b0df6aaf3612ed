import { join } from 'node:path';
import { isErrno } from '../errors.ts';
import { type FileSystem, writeAll } from '../files/file-system.ts';
import { type OwnerRecord, parseOwner } from './owner-record.ts';

/** The owner with the highest epoch. */
export interface Incumbent {
  readonly epoch: number;
  readonly path: string;
  readonly record: OwnerRecord | undefined;
  readonly modifiedMs: number;
}

/** The errors of a path that leads nowhere. */
export const GONE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ESTALE'];

/** The owner with the highest epoch; `undefined` if there is none, or no directory. */
export async function findOwner(
  files: FileSystem,
  directory: string,
): Promise<Incumbent | undefined> {
  try {
    return await findIncumbent(files, directory);
  } catch (error) {
    if (isErrno(error, GONE)) return undefined;
    throw error;
  }
}

export async function findIncumbent(
  files: FileSystem,
  directory: string,
): Promise<Incumbent | undefined> {
  const [epoch] = await listOwners(files, directory);
  if (epoch === undefined) return undefined;
  const path = ownerPath(directory, epoch);
  const [status, content] = [await files.status(path), await files.readWhole(path)];
  // The file was deleted since it was listed: there is a higher one.
  if (status === undefined || content === undefined) return findIncumbent(files, directory);
  return { epoch, path, record: parseOwner(content), modifiedMs: status.modifiedMs };
}

/** The epochs with an owner's file, the highest first. */
export async function listOwners(files: FileSystem, directory: string): Promise<number[]> {
  const epochs: number[] = [];
  for (const name of await files.list(directory)) {
    const digits = /^owner\.(\d+)$/.exec(name)?.[1];
    if (digits !== undefined) epochs.push(Number(digits));
  }
  return epochs.toSorted((left, right) => right - left);
}

export async function writeComplete(
  files: FileSystem,
  path: string,
  record: OwnerRecord,
): Promise<void> {
  const file = await files.open(path, 'create');
  try {
    await writeAll(file, Buffer.from(JSON.stringify(record)), 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

export function ownerPath(directory: string, epoch: number): string {
  return join(directory, `owner.${epoch}`);
}
