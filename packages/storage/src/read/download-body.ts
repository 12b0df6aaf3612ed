import { createHash } from 'node:crypto';
import type { ObjectContent, ObjectHead, StorageBackend } from '../backend.ts';
import { collect } from '../object/body.ts';
import { BodyIntegrityError } from '../errors.ts';
import type { Download, ObjectInfo } from '../storage.ts';

/** A body that broke off is gone on with so many times. */
const MAX_RESUMPTIONS = 5;

/** A long body, checked while it is read, and gone on with from where it broke off. */
export async function* resumingBody(
  backend: StorageBackend,
  { head, body }: ObjectContent,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { key, version } = head;
  const hash = createHash('sha256');
  let offset = 0;
  let rest = body;
  for (let resumptions = 0; ; resumptions += 1) {
    try {
      for await (const chunk of rest) {
        hash.update(chunk);
        offset += chunk.byteLength;
        yield chunk;
      }
      break;
    } catch (error) {
      signal.throwIfAborted();
      if (version === undefined || resumptions === MAX_RESUMPTIONS) throw error;
      const again = await backend.get(key, { signal, from: offset, version });
      if (again.kind !== 'ok') throw new BodyIntegrityError(key, again.message, error);
      rest = again.value.body;
    }
  }
  const sha256 = head.stamp?.sha256;
  if (sha256 !== undefined && hash.digest('hex') !== sha256) {
    throw new BodyIntegrityError(key, 'its bytes are not what was stored');
  }
}

/** A body that is held against its checksum while it is read. Throws BodyIntegrityError where it is another. */
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

/** A download of bytes that are there. */
export function bufferedDownload(from: string, head: ObjectHead, bytes: Uint8Array): Download {
  return {
    ...described(from, head),
    body: (async function* () {
      if (bytes.byteLength > 0) yield bytes;
    })(),
    bytes: async () => bytes,
  };
}

/** A download that is read as it comes. */
export function streamedDownload(
  from: string,
  head: ObjectHead,
  body: AsyncIterable<Uint8Array>,
): Download {
  return { ...described(from, head), body, bytes: () => collect(body) };
}

function described(from: string, head: ObjectHead): Omit<Download, 'body' | 'bytes'> {
  const { key, size, contentType = 'application/octet-stream', metadata } = head;
  return { path: key, from, size, contentType, metadata };
}

/** What a store's description says to the caller. */
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
