import { types } from 'node:util';
import { InvalidOptionError, describeValue } from '@holdfast/foundation';

/** The body of a request: none, bytes, parts that can be read again, or a stream that can be read once. */
export type RequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'blob'; readonly blob: Blob }
  /** Bytes with the boundary that its content type names. */
  | { readonly kind: 'form'; readonly blob: Promise<Blob> }
  | { readonly kind: 'once'; readonly source: OnceSource };

/** A source that is read by one attempt only. */
interface OnceSource {
  isTaken: boolean;
  readonly iterable: AsyncIterable<unknown>;
}

export const NO_BODY: RequestBody = { kind: 'none' };

/** Whether a further attempt can send the body from its beginning. */
export function isReplayable(body: RequestBody): boolean {
  return body.kind !== 'once' || !body.source.isTaken;
}

/** Its length in bytes, if it is known before it is read. */
export function lengthOf(body: RequestBody): number | undefined {
  if (body.kind === 'bytes') return body.bytes.byteLength;
  return body.kind === 'blob' ? body.blob.size : undefined;
}

/** The source of a request's body has failed, and no connection. */
export class BodySourceError extends Error {
  constructor(cause: unknown) {
    super('the body of the request failed', { cause });
  }
}

/** Opens a body that is not held as bytes, for one attempt. @throws BodySourceError */
export async function* readBody(body: RequestBody): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = chunksOf(body);
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw new BodySourceError(error);
    });
    if (next.done === true) return;
    yield next.value;
  }
}

async function* chunksOf(body: RequestBody): AsyncGenerator<Uint8Array, void, undefined> {
  if (body.kind === 'blob') yield* body.blob.stream();
  if (body.kind === 'form') yield* (await body.blob).stream();
  if (body.kind !== 'once') return;
  body.source.isTaken = true;
  for await (const chunk of body.source.iterable) yield toBytes(chunk);
}

/**
 * Adds the content type that the body implies.
 * @throws InvalidOptionError
 */
export function toRequestBody(given: unknown, headers: Headers): RequestBody {
  if (given === undefined || given === null) return NO_BODY;
  if (typeof given === 'string') return bytesOf(given, 'text/plain;charset=UTF-8', headers);
  if (given instanceof URLSearchParams) {
    const type = 'application/x-www-form-urlencoded;charset=UTF-8';
    return bytesOf(given.toString(), type, headers);
  }
  if (types.isAnyArrayBuffer(given)) return { kind: 'bytes', bytes: new Uint8Array(given) };
  if (ArrayBuffer.isView(given)) {
    const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
    return { kind: 'bytes', bytes };
  }
  if (given instanceof Blob) {
    addType(headers, given.type);
    return { kind: 'blob', blob: given };
  }
  if (given instanceof FormData) return formOf(given, headers);
  if (isAsyncIterable(given)) {
    return { kind: 'once', source: { isTaken: false, iterable: given } };
  }
  const permitted =
    'a string, bytes, a Blob, URLSearchParams, FormData, a ReadableStream or an async iterable of bytes';
  throw new InvalidOptionError('resilientFetch', 'body', given, permitted);
}

function bytesOf(text: string, type: string, headers: Headers): RequestBody {
  addType(headers, type);
  return { kind: 'bytes', bytes: Buffer.from(text) };
}

function addType(headers: Headers, type: string): void {
  if (type !== '' && !headers.has('content-type')) headers.set('content-type', type);
}

function formOf(form: FormData, headers: Headers): RequestBody {
  const encoded = new Response(form);
  addType(headers, encoded.headers.get('content-type') ?? '');
  return { kind: 'form', blob: encoded.blob() };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** Typed arrays of any realm, and strings as UTF-8. */
function toBytes(chunk: unknown): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (types.isAnyArrayBuffer(chunk)) return new Uint8Array(chunk);
  throw new TypeError(`a body's chunk must be bytes or a string, but is ${describeValue(chunk)}`);
}
