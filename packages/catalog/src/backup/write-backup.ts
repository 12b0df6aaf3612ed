import { join } from 'node:path';
import {
  type FileSystem,
  JournalLockedError,
  type Ownership,
  takeOwnership,
} from '@holdfast/journal';
import { abortable, isHoldfastError } from '@holdfast/foundation';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import { type BackupFile, openBackupFile, proveFrames, readFrameBytes } from './backup-file.ts';
import {
  CatalogBackupDamagedError,
  CatalogBackupFencedError,
  CatalogBackupLockedError,
  CatalogBackupWriteError,
  toWriteError,
} from './errors.ts';
import {
  type BackupName,
  TEMPORARY_SUFFIX,
  backupPath,
  listBackups,
  newestFirst,
  removeTemporaries,
} from './file-names.ts';
import { FrameWriter } from './frame-writer.ts';
import type { ResolvedBackupOptions } from './options.ts';

const HEARTBEAT_MS = 1_000;

/** A backup that is on the disk under its name. */
export interface WrittenBackup {
  readonly file: string;
  readonly bytes: number;
  readonly rows: number;
}

/** What a backup is written from: bundles, or the frames of one that has the same bundles. */
type BackupSource = AsyncIterable<readonly Bundle[]> | BackupFile;

/** One write of a backup, from the right to write to the deletion of the ones that are too many. */
export class BackupWrite {
  readonly #options: ResolvedBackupOptions;
  /** Bounded in time. */
  readonly #files: FileSystem;
  readonly #manifest: GenerationManifest;
  readonly #signal: AbortSignal | undefined;
  readonly #path: string;
  /** An error of the caller's own chunks, which is theirs to see as it is. */
  #sourceError: { readonly error: unknown } | undefined;

  constructor(
    options: ResolvedBackupOptions,
    files: FileSystem,
    manifest: GenerationManifest,
    signal: AbortSignal | undefined,
  ) {
    this.#options = options;
    this.#files = files;
    this.#manifest = manifest;
    this.#signal = signal;
    this.#path = backupPath(options.directory, manifest.token, manifest.generation);
  }

  async run(source: BackupSource): Promise<WrittenBackup> {
    this.#signal?.throwIfAborted();
    const ownership = await this.#takeOwnership();
    try {
      const backup = await this.#publish(source, ownership);
      // Published: what is left over is deleted with the next one.
      await Promise.allSettled([this.#rotate()]);
      return backup;
    } finally {
      await Promise.allSettled([ownership.release()]);
    }
  }

  async #takeOwnership(): Promise<Ownership> {
    const { directory, clock, ownerStaleMs, acquireTimeoutMs } = this.#options;
    try {
      if (await this.#files.makeDirectory(directory)) {
        await this.#files.syncDirectory(join(directory, '..'));
      }
      return await takeOwnership({
        files: this.#files,
        directory,
        clock,
        heartbeatMs: HEARTBEAT_MS,
        ownerStaleMs,
        acquireTimeoutMs,
        signal: this.#signal,
      });
    } catch (error) {
      throw this.#toError(error);
    }
  }

  async #publish(source: BackupSource, ownership: Ownership): Promise<WrittenBackup> {
    const { directory } = this.#options;
    const temporary = `${this.#path}${TEMPORARY_SUFFIX}`;
    let bytes = 0;
    let isRenaming = false;
    try {
      await this.#refuseOlder();
      await removeTemporaries(this.#files, directory);
      bytes = await this.#writeFile(temporary, source);
      await this.#readBack(temporary);
      await ownership.confirm();
      await this.#refuseOlder();
      this.#signal?.throwIfAborted();
      isRenaming = true;
      await this.#files.rename(temporary, this.#path);
      await this.#files.syncDirectory(directory);
    } catch (error) {
      await Promise.allSettled([this.#files.remove(temporary)]);
      throw isRenaming ? toWriteError(directory, error, 'unknown') : this.#toError(error);
    }
    return { file: this.#path, bytes, rows: this.#manifest.rows };
  }

  /** The name of a published file tells its token even if its content is damaged. */
  async #refuseOlder(): Promise<void> {
    const { directory } = this.#options;
    const [newest] = await listBackups(this.#files, directory);
    if (newest !== undefined && newestFirst(newest, this.#manifest) < 0) {
      throw new CatalogBackupFencedError(this.#manifest, newest);
    }
  }

  async #writeFile(path: string, source: BackupSource): Promise<number> {
    const { random, rowsPerFrame, codec } = this.#options;
    const file = await this.#files.open(path, 'create');
    // A frame states its series.
    const series = 'footer' in source ? source.footer.series : Math.floor(random() * 2 ** 32);
    const options = { series, rowsPerFrame, codec };
    const signal = this.#signal;
    const writer = new FrameWriter(file, signal === undefined ? options : { ...options, signal });
    let bytes = 0;
    try {
      await writer.begin();
      if ('footer' in source) await this.#copyFrames(writer, source);
      else await this.#addBundles(writer, source);
      bytes = await writer.end(this.#manifest);
    } catch (error) {
      await Promise.allSettled([file.close()]);
      throw error;
    }
    await file.close();
    return bytes;
  }

  async #addBundles(writer: FrameWriter, chunks: AsyncIterable<readonly Bundle[]>): Promise<void> {
    const { rows } = this.#manifest;
    for await (const bundles of this.#pull(chunks)) {
      await writer.add(bundles);
      if (writer.rows > rows) break;
    }
    if (writer.rows === rows) return;
    const seen = `${writer.rows > rows ? 'more than' : `${writer.rows} of`} ${rows} rows came`;
    throw new CatalogBackupWriteError(this.#options.directory, 'rows', { seen });
  }

  async #copyFrames(writer: FrameWriter, from: BackupFile): Promise<void> {
    for (const [index, [, , rows]] of from.footer.frames.entries()) {
      this.#signal?.throwIfAborted();
      await writer.addFrame(await readFrameBytes(from, index), rows);
    }
  }

  /** The chunks, until the signal aborts: a source that hangs is left behind. */
  async *#pull(
    chunks: AsyncIterable<readonly Bundle[]>,
  ): AsyncGenerator<readonly Bundle[], void, undefined> {
    const signal = this.#signal;
    const iterator = chunks[Symbol.asyncIterator]();
    let hasEnded = false;
    try {
      while (true) {
        const next = iterator.next();
        const { done, value } = await (signal === undefined ? next : abortable(next, signal));
        hasEnded = done === true;
        if (done === true) return;
        yield value;
      }
    } catch (error) {
      this.#sourceError = { error };
      throw error;
    } finally {
      // Not awaited: that of a source that hangs never returns.
      if (!hasEnded) void iterator.return?.().catch(() => undefined);
    }
  }

  /** What the disk holds is what was to be written, or it does not get its name. */
  async #readBack(temporary: string): Promise<void> {
    const { token, generation } = this.#manifest;
    const opened = await openBackupFile(this.#files, { path: temporary, token, generation });
    try {
      await proveFrames(opened, this.#signal);
    } finally {
      await Promise.allSettled([opened.file.close()]);
    }
  }

  /** Keeps the newest whole ones, what is damaged between them, and as many damaged ones at most. */
  async #rotate(): Promise<void> {
    const { directory, keep } = this.#options;
    let [whole, damaged] = [0, 0];
    for (const name of await listBackups(this.#files, directory)) {
      if (whole >= keep) {
        await this.#files.remove(name.path);
      } else if (await this.#isWhole(name)) {
        whole += 1;
      } else {
        damaged += 1;
        if (damaged > keep) await this.#files.remove(name.path);
      }
    }
  }

  async #isWhole(name: BackupName): Promise<boolean> {
    try {
      const opened = await openBackupFile(this.#files, name);
      await Promise.allSettled([opened.file.close()]);
      return true;
    } catch (error) {
      return error instanceof CatalogBackupDamagedError && error.reason === 'newer';
    }
  }

  #toError(error: unknown): unknown {
    const { directory } = this.#options;
    const isAbort = this.#signal?.aborted === true && error === this.#signal.reason;
    if (isAbort || (this.#sourceError !== undefined && this.#sourceError.error === error)) {
      return error;
    }
    if (error instanceof JournalLockedError) return new CatalogBackupLockedError(directory, error);
    // What was read back is not what was written.
    if (error instanceof CatalogBackupDamagedError) return toWriteError(directory, error);
    const isOfCaller = isHoldfastError(error) && !error.code.startsWith('JOURNAL_');
    return isOfCaller ? error : toWriteError(directory, error);
  }
}
