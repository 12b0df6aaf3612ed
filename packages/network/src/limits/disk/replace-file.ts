import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { propertyOf } from '@holdfast/foundation';

/** What a file is written from. */
export type FileContent =
  | string
  | Uint8Array
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>;

/** Options of `replaceFile`. */
export interface ReplaceFileOptions {
  /** Of a new file; an earlier one keeps its own. Default 0o666. */
  mode?: number;
  /** Stops writing; the file that was there stays. */
  signal?: AbortSignal;
}

/**
 * Writes beside the file, and renames when all is on the disk: a reader finds the old content or the new one, never a
 * part. What was written is removed when it fails. A symbolic link stays, and its target is replaced.
 */
export async function replaceFile(
  path: string,
  content: FileContent,
  { mode = 0o666, signal }: ReplaceFileOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  const target = await realpath(path).catch(unlessMissing(path));
  const earlier = await stat(target).catch(unlessMissing(undefined));
  const folder = dirname(target);
  const draft = join(folder, `.${basename(target).slice(0, 200)}.${randomUUID()}.tmp`);
  try {
    const file = await open(draft, 'wx', mode);
    try {
      await file.writeFile(content, { signal });
      if (earlier !== undefined) await keepRights(file, earlier);
      await file.sync();
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw signal?.aborted === true ? signal.reason : error;
  }
  await syncFolder(folder);
}

async function keepRights(
  file: FileHandle,
  { mode, uid, gid }: { mode: number; uid: number; gid: number },
): Promise<void> {
  // Only root may give a file to others; then it belongs to whoever writes it.
  await file.chown(uid, gid).catch(() => {});
  await file.chmod(mode & 0o7777);
}

/** So that the new name outlasts a power cut, where directories can be synced. */
async function syncFolder(folder: string): Promise<void> {
  const opened = await open(folder, 'r').catch(() => undefined);
  try {
    await opened?.sync().catch(() => {});
  } finally {
    await opened?.close();
  }
}

function unlessMissing<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (propertyOf(error, 'code') === 'ENOENT') return instead;
    throw error;
  };
}
