import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { FileSystem, OpenFile } from '@holdfast/journal';
import { DOCUMENT_SCHEMA } from '../documents/chunk-header.ts';
import { type BackupDefect, CatalogBackupDamagedError, toDamagedError } from './errors.ts';
import type { BackupName } from './file-names.ts';
import { readBytes, readFully } from './file-reading.ts';
import {
  FILE_HEADER_BYTES,
  type Footer,
  TRAILER_BYTES,
  decodeFileHeader,
  decodeFooter,
  decodeTrailer,
} from './format.ts';

const WINDOW_BYTES = 262_144;

/** A file whose footer is whole, and open. */
export interface BackupFile {
  readonly path: string;
  readonly file: OpenFile;
  readonly footer: Footer;
}

/**
 * Opens a backup and proves its footer; the frames are proven by {@link proveFrames}, or each when it is read.
 * @throws CatalogBackupDamagedError; what the file system throws
 */
export async function openBackupFile(
  files: FileSystem,
  { path, token, generation }: BackupName,
  named: string = path,
): Promise<BackupFile> {
  const file = await files.open(path, 'read');
  try {
    const footer = await readFooter(file, path, (await files.status(path))?.bytes ?? 0);
    const { manifest } = footer;
    if (manifest.token === token && manifest.generation === generation) {
      return { path: named, file, footer };
    }
    const seen = `it holds token ${manifest.token}, generation ${manifest.generation}`;
    throw new CatalogBackupDamagedError(path, 'foreign', seen);
  } catch (error) {
    await Promise.allSettled([file.close()]);
    throw error;
  }
}

/** @throws CatalogBackupDamagedError; what the file system throws */
async function readFooter(file: OpenFile, path: string, size: number): Promise<Footer> {
  const damaged = (reason: BackupDefect, seen: string): Error =>
    new CatalogBackupDamagedError(path, reason, seen);
  const header = decodeFileHeader(await readBytes(file, 0, FILE_HEADER_BYTES));
  if (header.kind !== 'header') throw damaged(header.kind, 'its header');
  const trailerAt = size - TRAILER_BYTES;
  if (trailerAt < FILE_HEADER_BYTES) throw damaged('truncated', `${size} bytes`);
  const trailer = decodeTrailer(await readBytes(file, trailerAt, TRAILER_BYTES));
  if (trailer === undefined) throw damaged('truncated', 'it does not end as a backup does');
  const start = trailerAt - trailer.footerBytes;
  if (start < FILE_HEADER_BYTES) throw damaged('damaged', 'its footer is longer than the file');
  const json = await readBytes(file, start, trailer.footerBytes);
  const footer = decodeFooter(json, trailer.footerCrc, start);
  if (typeof footer === 'string') throw damaged(footer, 'its footer');
  if (footer.schema > DOCUMENT_SCHEMA) throw damaged('newer', `schema ${footer.schema}`);
  if (footer.series !== header.series) throw damaged('damaged', 'header and footer differ');
  return footer;
}

/**
 * Reads all bytes before the footer, and compares their checksum.
 * @throws CatalogBackupDamagedError; what the file system throws
 */
export async function proveFrames(
  { file, path, footer }: BackupFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = createHash('sha256');
  const last = footer.frames.at(-1);
  const end = last === undefined ? FILE_HEADER_BYTES : last[0] + last[1];
  const window = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, end));
  for (let at = 0; at < end;) {
    signal?.throwIfAborted();
    const read = await readFully(file, window.subarray(0, end - at), at);
    if (read === 0) throw new CatalogBackupDamagedError(path, 'truncated', `${at} of ${end} bytes`);
    hash.update(window.subarray(0, read));
    at += read;
  }
  if (hash.digest('hex') === footer.sha256) return;
  throw new CatalogBackupDamagedError(path, 'damaged', 'the checksum of its frames does not match');
}

/** The bytes of a frame as they were written. @throws CatalogBackupDamagedError; RangeError */
export async function readFrameBytes(
  { file, path, footer }: BackupFile,
  index: number,
): Promise<Buffer> {
  const entry = footer.frames[index];
  if (entry === undefined) throw new RangeError(`no frame ${index} of ${footer.frames.length}`);
  const [offset, length, , crc] = entry;
  const bytes = await readBytes(file, offset, length).catch((error: unknown) => {
    throw toDamagedError(path, error);
  });
  if (bytes.length === length && crc32(bytes) === crc) return bytes;
  throw new CatalogBackupDamagedError(path, 'damaged', `frame ${index} at byte ${offset}`);
}
