import { type FileSystem, boundedFiles } from '@holdfast/journal';
import { abortable, propertyOf } from '@holdfast/foundation';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import { type BackupFile, openBackupFile, proveFrames } from './backup-file.ts';
import { type BackupReader, type ReadOptions, createBackupReader } from './backup-reader.ts';
import {
  type BackupAttempt,
  type BackupOrder,
  CatalogBackupUnavailableError,
  toDamagedError,
} from './errors.ts';
import { type BackupName, backupPath, listBackups } from './file-names.ts';
import {
  type BackupOptions,
  type ResolvedBackupOptions,
  checkManifest,
  parseBackupOptions,
} from './options.ts';
import { type BackupSalvage, salvageFile } from './salvage.ts';
import { BackupWrite, type WrittenBackup } from './write-backup.ts';

/** Calls to the disk at once: reads of frames must not wait behind a writer. */
const MAX_CONCURRENT_CALLS = 4;
/** A file that was deleted between being listed and being opened: there is a newer one. */
const MAX_LISTINGS = 3;

/** The backups of one catalog in a directory: whole generations, each one file. */
export interface Backup {
  /**
   * Writes a generation, proves it, and publishes it under its name; the newest `keep` stay. After an abort it rejects
   * when its file is deleted.
   * @param chunks its bundles in their order, in parts of any size; `manifest.rows` together.
   * @throws InvalidOptionError; CatalogBackupFencedError; CatalogBackupLockedError; CatalogBackupWriteError;
   *   CatalogDocumentError; the reason of the signal; what `chunks` throws
   */
  write(
    manifest: GenerationManifest,
    chunks: AsyncIterable<readonly Bundle[]>,
    options?: ReadOptions,
  ): Promise<WrittenBackup>;
  /**
   * Writes a generation that has the bundles of `before` in their order: the frames of its file are proven and copied.
   * @returns `undefined` when there is no whole file of `before` with as many rows; nothing is written
   * @throws as {@link write}, but for what comes from its chunks
   */
  renew(
    manifest: GenerationManifest,
    before: BackupOrder,
    options?: ReadOptions,
  ): Promise<WrittenBackup | undefined>;
  /** Opens the newest backup that is whole, each byte of it proven. @throws CatalogBackupUnavailableError */
  open(options?: ReadOptions): Promise<BackupReader>;
  /** What the name of the newest file says, whole or damaged: a writer with an older token is refused. */
  newest(): Promise<BackupOrder | undefined>;
  /**
   * Reads what is undamaged in the newest file, or in that one of the directory.
   * @throws CatalogBackupUnavailableError when there is none; CatalogBackupDamagedError when the disk cannot read it
   */
  salvage(options?: ReadOptions & { readonly file?: string }): Promise<BackupSalvage>;
}

/**
 * Keeps generations of the catalog in files of a directory, checked whenever they are read.
 * @throws InvalidOptionError
 */
export function createBackup(options: BackupOptions): Backup {
  const resolved = parseBackupOptions(options);
  const { directory, clock, ioTimeoutMs } = resolved;
  const bounds = { clock, ioTimeoutMs, maxConcurrent: MAX_CONCURRENT_CALLS };
  const files = boundedFiles(resolved.files, directory, bounds);
  return {
    async write(manifest, chunks, { signal } = {}) {
      checkManifest(manifest);
      return new BackupWrite(resolved, files, manifest, signal).run(chunks);
    },
    async renew(manifest, before, { signal } = {}) {
      checkManifest(manifest);
      const source = await openGeneration(files, directory, before, signal);
      try {
        if (source?.footer.rows !== manifest.rows) return undefined;
        return await new BackupWrite(resolved, files, manifest, signal).run(source);
      } finally {
        await Promise.allSettled([source?.file.close()]);
      }
    },
    async open({ signal } = {}) {
      const opening = openNewest(files, resolved, signal);
      if (signal === undefined) return opening;
      return abortable(opening, signal, () => {
        opening.then(
          (reader) => reader.close(),
          () => undefined,
        );
      });
    },
    async newest() {
      const [name] = await namesIn(files, directory);
      return name === undefined ? undefined : { token: name.token, generation: name.generation };
    },
    async salvage({ file, signal } = {}) {
      const salvaging = async (): Promise<BackupSalvage> => {
        const names = await namesIn(files, directory);
        const name = file === undefined ? names[0] : names.find(({ path }) => path === file);
        if (name === undefined) throw new CatalogBackupUnavailableError(directory, []);
        return salvageFile(files, name, signal);
      };
      return signal === undefined ? salvaging() : abortable(salvaging(), signal);
    },
  };
}

async function openNewest(
  files: FileSystem,
  { directory }: ResolvedBackupOptions,
  signal: AbortSignal | undefined,
): Promise<BackupReader> {
  let tried: BackupAttempt[] = [];
  for (let listing = 1; listing <= MAX_LISTINGS; listing += 1) {
    tried = [];
    let isGone = false;
    for (const name of await namesIn(files, directory)) {
      signal?.throwIfAborted();
      try {
        return createBackupReader(await openProven(files, name, signal), tried);
      } catch (error) {
        if (signal?.aborted === true && error === signal.reason) throw error;
        isGone ||= propertyOf(error, 'code') === 'ENOENT';
        const { reason } = toDamagedError(name.path, error);
        tried.push({ file: name.path, reason, cause: error });
      }
    }
    if (!isGone) break;
  }
  throw new CatalogBackupUnavailableError(directory, tried);
}

/** That file, if it is there and whole. @throws the reason of the signal */
async function openGeneration(
  files: FileSystem,
  directory: string,
  { token, generation }: BackupOrder,
  signal: AbortSignal | undefined,
): Promise<BackupFile | undefined> {
  try {
    const path = backupPath(directory, token, generation);
    return await openProven(files, { path, token, generation }, signal);
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

async function openProven(
  files: FileSystem,
  name: BackupName,
  signal: AbortSignal | undefined,
): Promise<BackupFile> {
  const opened = await openBackupFile(files, name);
  try {
    await proveFrames(opened, signal);
    return opened;
  } catch (error) {
    await Promise.allSettled([opened.file.close()]);
    throw error;
  }
}

async function namesIn(files: FileSystem, directory: string): Promise<BackupName[]> {
  try {
    return await listBackups(files, directory);
  } catch (error) {
    throw new CatalogBackupUnavailableError(directory, [], error);
  }
}
