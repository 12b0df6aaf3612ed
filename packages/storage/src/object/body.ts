import { types } from 'node:util';
import { CHUNK_BYTES } from '../files/atomic-file.ts';
import type { BodySource } from '../backend.ts';
import { BodyIntegrityError, BodyNotRepeatableError, InvalidBodyError } from '../errors.ts';

/** Bytes that can be read any number of times. */
export type Body =
  | string
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  /** Opens the body; called for each read. Its size need not be known; its chunks are bytes or text. */
  | (() => AsyncIterable<Uint8Array | string> | Promise<AsyncIterable<Uint8Array | string>>);

/**
 * The body of an upload: its bytes, or a function that opens it.
 * @throws InvalidBodyError, BodyNotRepeatableError
 */
export function parseBody(
  key: string,
  body: unknown,
): { bytes: Uint8Array } | { open: () => Promise<AsyncIterable<Uint8Array>> } {
  if (typeof body === 'string') return { bytes: Buffer.from(body) };
  const buffer: unknown = ArrayBuffer.isView(body) ? body.buffer : body;
  if (buffer instanceof ArrayBuffer && buffer.detached) {
    throw new InvalidBodyError(
      key,
      'its memory was transferred elsewhere; give a copy of the bytes',
    );
  }
  if (types.isAnyArrayBuffer(body)) return { bytes: new Uint8Array(body) };
  if (ArrayBuffer.isView(body)) {
    return { bytes: new Uint8Array(body.buffer, body.byteOffset, body.byteLength) };
  }
  if (typeof body === 'function') {
    return {
      open: async () => {
        const opened: unknown = await Reflect.apply(body, undefined, []);
        if (isAsyncIterable(opened)) return opened;
        throw new InvalidBodyError(key, 'the function did not return an async iterable');
      },
    };
  }
  if (isBlob(body)) return { open: async () => blobSlices(body) };
  if (isAsyncIterable(body)) throw new BodyNotRepeatableError(key);
  const seen = body === null ? 'null' : typeof body;
  throw new InvalidBodyError(
    key,
    `the body is ${seen}; give a string, bytes, a Blob, or a function that opens a stream`,
  );
}

/** A body in memory. */
export function bytesSource(bytes: Uint8Array): BodySource {
  return {
    size: bytes.byteLength,
    bytes,
    async *open(from = 0, to = bytes.byteLength) {
      if (to > from) yield bytes.subarray(from, to);
    },
  };
}

/** Bytes in memory as chunks, for a consumer that would copy all of them at once. */
export async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.byteLength; from += CHUNK_BYTES) {
    yield bytes.subarray(from, from + CHUNK_BYTES);
  }
}

/** A Blob as chunks: its own stream is as fast as it can be, and leaves a copy of the whole Blob in memory. */
async function* blobSlices(blob: Blob): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < blob.size; from += CHUNK_BYTES) {
    yield new Uint8Array(await blob.slice(from, from + CHUNK_BYTES).arrayBuffer());
  }
}

/**
 * Reads a body part by part. Every part reuses the memory of the part before, so the caller must be done with
 * one before it reads the next. A body in memory is not copied.
 * @throws BodyIntegrityError when the body ends before a part does
 */
export function partReader(
  key: string,
  body: BodySource,
  partBytes: number,
): (from: number, to: number) => Promise<Uint8Array> {
  let memory: Buffer | undefined;
  return async (from, to) => {
    if (body.bytes !== undefined) return body.bytes.subarray(from, to);
    memory ??= Buffer.allocUnsafeSlow(Math.min(partBytes, body.size));
    const part = memory.subarray(0, to - from);
    await fill(key, part, body, from);
    return part;
  };
}

/**
 * Fills `into` with the bytes from offset `from` on.
 * @throws BodyIntegrityError when there are fewer
 */
async function fill(key: string, into: Uint8Array, body: BodySource, from: number): Promise<void> {
  const to = from + into.byteLength;
  let filled = 0;
  // Each chunk is copied before the next one may reuse its memory.
  for await (const chunk of body.open(from, to, true)) {
    into.set(chunk, filled);
    filled += chunk.byteLength;
  }
  if (filled < into.byteLength) {
    throw new BodyIntegrityError(key, `the body ended at ${from + filled} of ${to} bytes`);
  }
}

/** The whole body as one array. */
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
    'slice' in value &&
    typeof value.slice === 'function' &&
    'arrayBuffer' in value &&
    'size' in value &&
    typeof value.size === 'number'
  );
}
