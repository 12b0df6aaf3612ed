import { abortable } from '@holdfast/foundation';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import { decodeBundle, decodeChunk } from '../documents/chunk.ts';
import { type BackupFile, readFrameBytes } from './backup-file.ts';
import { type BackupAttempt, CatalogBackupClosedError } from './errors.ts';

/** Options of one read. */
export interface ReadOptions {
  /** Stops reading, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** An open backup of one generation; it stays readable when its file is deleted. */
export interface BackupReader {
  readonly file: string;
  readonly manifest: GenerationManifest;
  readonly rows: number;
  /** The number of frames: what is read and checked at once, 64 to 256 rows. */
  readonly frames: number;
  /** Newer backups that are not whole. */
  readonly skipped: readonly BackupAttempt[];
  /**
   * @param frame from 0.
   * @throws CatalogBackupDamagedError when it was damaged since; CatalogBackupClosedError; RangeError
   */
  readFrame(frame: number, options?: ReadOptions): Promise<readonly Bundle[]>;
  /** The bundle of a row, from 0; `undefined` past the end. @throws CatalogBackupDamagedError */
  readRow(row: number, options?: ReadOptions): Promise<Bundle | undefined>;
  /** All bundles in their order, a frame at a time. @throws CatalogBackupDamagedError */
  readAll(options?: ReadOptions): AsyncGenerator<readonly Bundle[]>;
  /** Resolves when the reads in progress have ended. */
  close(): Promise<void>;
}

export function createBackupReader(
  opened: BackupFile,
  skipped: readonly BackupAttempt[],
): BackupReader {
  const { path, footer, file } = opened;
  const { manifest, rows, frames, series } = footer;
  const starts: number[] = [];
  let counted = 0;
  for (const [, , frameRows] of frames) {
    starts.push(counted);
    counted += frameRows;
  }
  let closing: Promise<void> | undefined;
  const reading = new Set<Promise<Buffer>>();
  const bytesOf = async (frame: number, signal?: AbortSignal): Promise<Buffer> => {
    signal?.throwIfAborted();
    if (closing !== undefined) throw new CatalogBackupClosedError(path);
    const bytes = readFrameBytes(opened, frame);
    reading.add(bytes);
    try {
      return await (signal === undefined ? bytes : abortable(bytes, signal));
    } finally {
      // An aborted read goes on, and its descriptor must not become that of another file meanwhile.
      const forget = (): void => void reading.delete(bytes);
      bytes.then(forget, forget);
    }
  };
  const readFrame: BackupReader['readFrame'] = async (frame, { signal } = {}) =>
    decodeChunk(await bytesOf(frame, signal), placeOf(series, frame, signal));
  return {
    file: path,
    manifest,
    rows,
    frames: frames.length,
    skipped,
    readFrame,
    async readRow(row, { signal } = {}) {
      if (!(row >= 0 && row < rows)) return undefined;
      const frame = frameOf(starts, row);
      const bytes = await bytesOf(frame, signal);
      return decodeBundle(bytes, row - (starts[frame] ?? 0), placeOf(series, frame, signal));
    },
    async *readAll(options) {
      for (let frame = 0; frame < frames.length; frame += 1) yield await readFrame(frame, options);
    },
    close() {
      closing ??= Promise.allSettled(reading).then(() => file.close());
      return closing;
    },
  };
}

function placeOf(
  series: number,
  index: number,
  signal: AbortSignal | undefined,
): { series: number; index: number; signal?: AbortSignal } {
  return { series, index, ...(signal === undefined ? {} : { signal }) };
}

/** The last frame that begins at or before the row. */
function frameOf(starts: readonly number[], row: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((starts[middle] ?? 0) <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
