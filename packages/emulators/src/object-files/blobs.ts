import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { link, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** The bytes of a blob from `first` to `last`, both included. */
export interface Span {
  readonly blob: string;
  readonly first: number;
  readonly last: number;
}

/**
 * Stores bytes under generated names. A client's key never becomes a file name, so that no key can leave the
 * directory or be too long for it.
 */
export interface Blobs {
  /** Stores a body. When it rejects, nothing is stored. */
  write(body: AsyncIterable<Uint8Array>): Promise<{ readonly blob: string; readonly size: number }>;
  /** The bytes of these spans in order. The blobs are kept until the stream has closed. */
  read(spans: readonly Span[]): Readable;
  /** The same bytes under a second name. */
  duplicate(blob: string): Promise<string>;
  /** Removes a blob once no stream reads it. */
  remove(blob: string): Promise<void>;
  /** Removes all other blobs: the remains of bodies that were being received at a crash. */
  keepOnly(blobs: ReadonlySet<string>): Promise<void>;
}

/** The medium of the blobs: memory or disk. */
interface Medium {
  write(blob: string, body: AsyncIterable<Uint8Array>): Promise<void>;
  read(span: Span): AsyncIterable<Uint8Array>;
  duplicate(blob: string, twin: string): Promise<void>;
  remove(blob: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

/** Opens the blobs of a directory, which is created when missing; without one, in memory. */
export async function openBlobs(directory: string | undefined): Promise<Blobs> {
  const medium = directory === undefined ? memoryMedium() : await diskMedium(directory);
  const readers = new Map<string, number>();
  const doomed = new Set<string>();

  const hold = (blob: string): void => void readers.set(blob, (readers.get(blob) ?? 0) + 1);
  const release = async (blob: string): Promise<void> => {
    const left = (readers.get(blob) ?? 1) - 1;
    if (left > 0) {
      readers.set(blob, left);
      return;
    }
    readers.delete(blob);
    if (doomed.delete(blob)) await medium.remove(blob);
  };

  async function* bytesOf(spans: readonly Span[]): AsyncGenerator<Uint8Array> {
    for (const span of spans) if (span.last >= span.first) yield* medium.read(span);
  }

  return {
    async write(body) {
      const blob = randomUUID();
      let size = 0;
      async function* counted(): AsyncGenerator<Uint8Array> {
        for await (const piece of body) {
          size += piece.length;
          yield piece;
        }
      }
      try {
        await medium.write(blob, counted());
      } catch (error) {
        await medium.remove(blob);
        throw error;
      }
      return { blob, size };
    },
    read(spans) {
      for (const { blob } of spans) hold(blob);
      const stream = Readable.from(bytesOf(spans), { objectMode: false });
      stream.once('close', () => {
        for (const { blob } of spans) void release(blob);
      });
      return stream;
    },
    async duplicate(blob) {
      const twin = randomUUID();
      await medium.duplicate(blob, twin);
      return twin;
    },
    async remove(blob) {
      if (readers.has(blob)) doomed.add(blob);
      else await medium.remove(blob);
    },
    async keepOnly(blobs) {
      for (const blob of await medium.list()) if (!blobs.has(blob)) await medium.remove(blob);
    },
  };
}

function memoryMedium(): Medium {
  const bodies = new Map<string, Buffer>();
  return {
    async write(blob, body) {
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      bodies.set(blob, Buffer.concat(pieces));
    },
    async *read({ blob, first, last }) {
      const body = bodies.get(blob);
      if (body === undefined) throw new ReferenceError(`no blob ${blob}`);
      yield body.subarray(first, last + 1);
    },
    async duplicate(blob, twin) {
      const body = bodies.get(blob);
      if (body === undefined) throw new ReferenceError(`no blob ${blob}`);
      bodies.set(twin, body);
    },
    async remove(blob) {
      bodies.delete(blob);
    },
    list: () => Promise.resolve([...bodies.keys()]),
  };
}

async function diskMedium(directory: string): Promise<Medium> {
  await mkdir(directory, { recursive: true });
  const pathOf = (blob: string): string => join(directory, blob);
  return {
    write: (blob, body) => pipeline(body, createWriteStream(pathOf(blob), { flags: 'wx' })),
    read: ({ blob, first, last }) => createReadStream(pathOf(blob), { start: first, end: last }),
    duplicate: (blob, twin) => link(pathOf(blob), pathOf(twin)),
    remove: (blob) => rm(pathOf(blob), { force: true }),
    list: () => readdir(directory),
  };
}
