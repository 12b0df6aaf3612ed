import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { propertyOf } from '@holdfast/foundation';
import { type Pack, extract, pack } from 'tar-stream';
import { BackupSourceError, BackupTargetError } from './errors.ts';

const PERMISSIONS = 0o777;
const FILE_MODE = 0o600;

/** A directory's files and folders as a tar archive. Links and devices are refused: they lead out of it. */
export async function packDirectory(
  directory: string,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const names = await namesIn(directory);
  const archive = pack();
  const fill = async (): Promise<void> => {
    for (const name of names) {
      signal.throwIfAborted();
      const path = join(directory, name);
      const status = await lstat(path);
      const { mode, mtime, size } = status;
      const header = { name: name.split(sep).join('/'), mode: mode & PERMISSIONS, mtime };
      if (status.isDirectory()) archive.entry({ ...header, type: 'directory' }, '');
      else await pipeline(createReadStream(path), archive.entry({ ...header, size }), { signal });
    }
    archive.finalize();
  };
  fill().catch((error: unknown) => {
    const reason = 'it changed while it was read';
    archive.destroy(new BackupSourceError(directory, reason, error));
  });
  return chunksIn(archive);
}

async function* chunksIn(archive: Pack): AsyncGenerator<Uint8Array> {
  for await (const chunk of archive) if (chunk instanceof Uint8Array) yield chunk;
}

/** @throws BackupSourceError if it cannot be read, or holds what is neither file nor folder. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const odd = entries.find((entry) => !entry.isFile() && !entry.isDirectory());
    if (odd !== undefined) {
      throw new BackupSourceError(join(odd.parentPath, odd.name), 'it is neither file nor folder');
    }
    const base = join(directory, sep).length;
    return entries.map((entry) => join(entry.parentPath, entry.name).slice(base)).toSorted();
  } catch (error) {
    if (error instanceof BackupSourceError) throw error;
    const code = String(propertyOf(error, 'code'));
    throw new BackupSourceError(directory, `it cannot be read (${code})`, error);
  }
}

/** @throws BackupTargetError unless the directory is missing or empty. */
export async function checkFree(directory: string): Promise<void> {
  try {
    if ((await readdir(directory)).length === 0) return;
  } catch (error) {
    if (propertyOf(error, 'code') === 'ENOENT') return;
    throw error;
  }
  throw new BackupTargetError(`the directory ${directory}`, 'is not empty');
}

/** Unpacks an archive; the directory is there once all of it is. */
export async function unpackDirectory(
  directory: string,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const unfinished = `${directory}.restoring`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  const archive = extract();
  const written = pipeline(Readable.from(source), archive, { signal });
  written.catch(() => undefined);
  for await (const entry of archive) {
    const { name, mode, type } = entry.header;
    const path = join(unfinished, ...name.split('/'));
    if (!path.startsWith(join(unfinished, sep)) || name.split('/').includes('..')) {
      throw new BackupSourceError(name, 'it leads out of the directory');
    }
    if (type === 'directory') {
      await mkdir(path, { recursive: true });
      entry.resume();
    } else {
      await mkdir(dirname(path), { recursive: true });
      await pipeline(entry, createWriteStream(path, { mode: FILE_MODE }), { signal });
      await chmod(path, (mode ?? FILE_MODE) & PERMISSIONS);
    }
  }
  await written;
  await rm(directory, { recursive: true, force: true });
  await rename(unfinished, directory);
}
