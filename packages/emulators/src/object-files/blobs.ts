import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { link, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Bytes of a blob from the first to the last, both included. */
export interface Span {
  readonly blob: string;
  readonly first: number;
  readonly last: number;
}

/**
 * Bytes under names of the store's own making. A key of a client never becomes the name of a file, so that
 * no key can leave the folder or be too long for it.
 */
export interface Blobs {
  /** Takes a body in, whole or, when it rejects, not at all. */
  write(body: AsyncIterable<Uint8Array>): Promise<{ readonly blob: string; readonly size: number }>;
  /** The bytes of these spans one after the other; the blobs stay until the stream has closed. */
  read(spans: readonly Span[]): Readable;
  /** The same bytes under a second name. */
  duplicate(blob: string): Promise<string>;
  /** Removes it once nobody reads it any more. */
  remove(blob: string): Promise<void>;
  /** Removes all others: what a crash left of bodies that were on their way. */
  keepOnly(blobs: ReadonlySet<string>): Promise<void>;
}

/** Where the bytes of the blobs lie. */
interface Medium {
  write(blob: string, body: AsyncIterable<Uint8Array>): Promise<void>;
  read(span: Span): AsyncIterable<Uint8Array>;
  duplicate(blob: string, twin: string): Promise<void>;
  remove(blob: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

/** Blobs in a folder that is made if need be; without one, in memory. */
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
