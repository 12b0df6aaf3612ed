import { createHash } from 'node:crypto';
import type { ObjectContent, ObjectHead, StorageBackend } from '../backend.ts';
import { BodyIntegrityError } from '../errors.ts';
import { collect } from '../object/body.ts';
import type { Download, ObjectInfo } from '../storage.ts';

/** How often a body that broke off is resumed. */
const MAX_RESUMPTIONS = 5;

/** A long body, verified while it is read, and resumed at the offset where it broke off. */
export function resumingBody(
  backend: StorageBackend,
  content: ObjectContent,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const { key, stamp } = content.head;
  const body = resumedBody(backend, content, signal);
  return stamp === undefined ? body : verifiedBody(key, body, stamp.sha256);
}

async function* resumedBody(
  backend: StorageBackend,
  { head: { key, version }, body }: ObjectContent,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = 0;
  let rest = body;
  for (let resumptions = 0; ; resumptions += 1) {
    try {
      for await (const chunk of rest) {
        offset += chunk.byteLength;
        yield chunk;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (version === undefined || resumptions === MAX_RESUMPTIONS) throw error;
      const result = await backend.get(key, { signal, from: offset, version });
      if (result.kind !== 'ok') throw new BodyIntegrityError(key, result.message, error);
      rest = result.value.body;
    }
  }
}

/**
 * A body whose checksum is computed while it is read.
 * @throws BodyIntegrityError at its end, when the checksum is another
 */
export async function* verifiedBody(
  key: string,
  body: AsyncIterable<Uint8Array>,
  sha256: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of body) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== sha256) {
    throw new BodyIntegrityError(key, 'its bytes are not what was stored');
  }
}

/** A download whose bytes are in memory. */
export function bufferedDownload(from: string, head: ObjectHead, bytes: Uint8Array): Download {
  return {
    ...attributesOf(from, head),
    body: (async function* () {
      if (bytes.byteLength > 0) yield bytes;
    })(),
    bytes: async () => bytes,
  };
}

/** A download whose bytes are read as they arrive. */
export function toDownload(
  from: string,
  head: ObjectHead,
  body: AsyncIterable<Uint8Array>,
): Download {
  return { ...attributesOf(from, head), body, bytes: () => collect(body) };
}

function attributesOf(from: string, head: ObjectHead): Omit<Download, 'body' | 'bytes'> {
  const { key, size, contentType = 'application/octet-stream', metadata } = head;
  return { path: key, from, size, contentType, metadata };
}

export function infoOf(from: string, head: ObjectHead): ObjectInfo {
  const { key, size, contentType, lastModifiedEpochMs, version, metadata } = head;
  return {
    path: key,
    from,
    size,
    metadata,
    ...(contentType !== undefined && { contentType }),
    ...(lastModifiedEpochMs !== undefined && { lastModifiedEpochMs }),
    ...(version !== undefined && { version }),
  };
}
