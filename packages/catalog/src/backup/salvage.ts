import { crc32 } from 'node:zlib';
import type { FileSystem, OpenFile } from '@holdfast/journal';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import { decodeChunk } from '../documents/chunk.ts';
import {
  CHUNK_HEADER_BYTES,
  CHUNK_MAGIC,
  type ChunkHeader,
  readChunkHeader,
} from '../documents/chunk-header.ts';
import { CatalogChunkError } from '../documents/errors.ts';
import { openBackupFile } from './backup-file.ts';
import { CatalogBackupDamagedError, toDamagedError } from './errors.ts';
import type { BackupName } from './file-names.ts';
import { abortableFile, readAround } from './file-reading.ts';
import { FILE_HEADER_BYTES, decodeFileHeader } from './format.ts';

const WINDOW_BYTES = 262_144;

/** What a salvage has found so far; complete when its iteration has ended. */
export interface SalvageReport {
  readonly rows: number;
  readonly frames: number;
  /** Rows of the manifest that were not found; `undefined` where the footer is lost, and with it their number. */
  readonly lostRows: number | undefined;
}

/** The undamaged bundles of one file, a frame at a time, in the order of the file. To be iterated once. */
export interface BackupSalvage extends AsyncIterable<readonly Bundle[]> {
  readonly file: string;
  /** `undefined` where the footer is lost. */
  readonly manifest: GenerationManifest | undefined;
  report(): SalvageReport;
}

/**
 * Reads what is undamaged in a file, footer or not: each frame says itself where it belongs, and proves it.
 * @throws CatalogBackupDamagedError when the disk cannot read it at all
 */
export async function salvageFile(
  files: FileSystem,
  name: BackupName,
  signal: AbortSignal | undefined,
): Promise<BackupSalvage> {
  const footer = await footerOf(files, name);
  const counts = { rows: 0, frames: 0 };
  const manifest = footer?.manifest;
  return {
    file: name.path,
    manifest,
    report: () => ({
      ...counts,
      lostRows: footer === undefined ? undefined : footer.rows - counts.rows,
    }),
    async *[Symbol.asyncIterator]() {
      const file = await files.open(name.path, 'read').catch((error: unknown) => {
        throw toDamagedError(name.path, error);
      });
      try {
        for await (const bundles of undamagedFrames(
          abortableFile(file, signal),
          footer?.series,
          signal,
        )) {
          counts.rows += bundles.length;
          counts.frames += 1;
          yield bundles;
        }
      } finally {
        await Promise.allSettled([file.close()]);
      }
    },
  };
}

async function footerOf(
  files: FileSystem,
  name: BackupName,
): Promise<Awaited<ReturnType<typeof openBackupFile>>['footer'] | undefined> {
  try {
    const { file, footer } = await openBackupFile(files, name);
    await Promise.allSettled([file.close()]);
    return footer;
  } catch (error) {
    if (error instanceof CatalogBackupDamagedError) return undefined;
    throw toDamagedError(name.path, error);
  }
}

async function* undamagedFrames(
  file: OpenFile,
  footerSeries: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Bundle[]> {
  const header = decodeFileHeader(await readAround(file, 0, FILE_HEADER_BYTES));
  let series = footerSeries ?? (header.kind === 'header' ? header.series : undefined);
  const seen = new Set<number>();
  for (let at = 0; ;) {
    const found = await nextFrame(file, at, series, signal);
    if (found === undefined) return;
    const bundles = seen.has(found.header.index) ? undefined : await bundlesOf(file, found, signal);
    // The length of a damaged one is not relied on: bytes may be missing.
    at = found.at + CHUNK_HEADER_BYTES;
    if (bundles === undefined) continue;
    at += found.header.payloadBytes;
    // Neither header nor footer is whole: the first frame says what the others are part of.
    series ??= found.header.series;
    seen.add(found.header.index);
    yield bundles;
  }
}

interface FoundFrame {
  readonly at: number;
  readonly header: ChunkHeader;
}

/** The next bytes that prove to be the header of a frame. */
async function nextFrame(
  file: OpenFile,
  from: number,
  series: number | undefined,
  signal: AbortSignal | undefined,
): Promise<FoundFrame | undefined> {
  signal?.throwIfAborted();
  // Where the frame before it is whole, the next one begins.
  const following = headerAt(await readAround(file, from, CHUNK_HEADER_BYTES), series);
  if (following !== undefined) return { at: from, header: following };
  for (let at = from; ;) {
    signal?.throwIfAborted();
    const window = await readAround(file, at, WINDOW_BYTES);
    if (window.length < CHUNK_HEADER_BYTES) return undefined;
    let place = window.indexOf(CHUNK_MAGIC);
    while (place !== -1 && place + CHUNK_HEADER_BYTES <= window.length) {
      const bytes = window.subarray(place, place + CHUNK_HEADER_BYTES);
      const header = headerAt(bytes, series);
      if (header !== undefined) return { at: at + place, header };
      place = window.indexOf(CHUNK_MAGIC, place + 1);
    }
    // A header may begin in the last bytes.
    at += place === -1 ? window.length - CHUNK_HEADER_BYTES + 1 : place;
  }
}

/** @param series a header of another one is none. */
function headerAt(bytes: Buffer, series: number | undefined): ChunkHeader | undefined {
  try {
    const header = readChunkHeader(bytes);
    return header.series === (series ?? header.series) ? header : undefined;
  } catch (error) {
    if (error instanceof CatalogChunkError) return undefined;
    throw error;
  }
}

async function bundlesOf(
  file: OpenFile,
  { at, header }: FoundFrame,
  signal: AbortSignal | undefined,
): Promise<readonly Bundle[] | undefined> {
  const bytes = await readAround(file, at, CHUNK_HEADER_BYTES + header.payloadBytes);
  if (crc32(bytes.subarray(CHUNK_HEADER_BYTES)) !== header.payloadCrc) return undefined;
  try {
    return await decodeChunk(bytes, signal === undefined ? {} : { signal });
  } catch (error) {
    if (error instanceof CatalogChunkError) return undefined;
    throw error;
  }
}
