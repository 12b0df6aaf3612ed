import { types } from 'node:util';
import type { FileSystem } from '@holdfast/journal';
import { readFileRange } from './atomic-file.ts';
import type { BodySource } from './backend.ts';
import { BodyNotRepeatableError, InvalidBodyError } from './errors.ts';

/** Bytes that can be read as often as it takes. */
export type Body =
  | string
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  /** Opens the body anew each time; its size need not be known. */
  | (() => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>);

/**
 * What an upload was given, made readable: in memory whole, or by opening it.
 * @throws InvalidBodyError, BodyNotRepeatableError
 */
export function readBody(
  key: string,
  body: unknown,
): { bytes: Uint8Array } | { open: () => Promise<AsyncIterable<Uint8Array>> } {
  if (typeof body === 'string') return { bytes: Buffer.from(body) };
  if (types.isAnyArrayBuffer(body)) return { bytes: new Uint8Array(body) };
  if (ArrayBuffer.isView(body)) {
    return { bytes: new Uint8Array(body.buffer, body.byteOffset, body.byteLength) };
  }
  if (typeof body === 'function') {
    return {
      open: async () => {
        const opened: unknown = await Reflect.apply(body, undefined, []);
        if (isAsyncIterable(opened)) return opened;
        throw new InvalidBodyError(key, 'the function did not open anything that can be iterated');
      },
    };
  }
  if (isBlob(body)) return { open: async () => body.stream() };
  if (isAsyncIterable(body)) throw new BodyNotRepeatableError(key);
  const seen = body === null ? 'null' : typeof body;
  throw new InvalidBodyError(
    key,
    `the body is ${seen}; give a string, bytes, a Blob, or a function that opens a stream`,
  );
}

/** A body that stands in memory. */
export function bytesSource(bytes: Uint8Array): BodySource {
  return {
    size: bytes.byteLength,
    bytes,
    async *open(from = 0, to = bytes.byteLength) {
      if (to > from) yield bytes.subarray(from, to);
    },
  };
}

/** A body that stands in a file. */
export function fileSource(files: FileSystem, path: string, size: number): BodySource {
  return { size, open: (from = 0, to = size) => readFileRange(files, path, from, to) };
}

/** All of it, in one piece. */
export async function collect(
  body: AsyncIterable<Uint8Array>,
  sizeHint?: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  return Buffer.concat(chunks, sizeHint);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function isBlob(value: unknown): value is Blob {
  return (
    typeof value === 'object' &&
    value !== null &&
    'stream' in value &&
    typeof value.stream === 'function' &&
    'size' in value
  );
}
