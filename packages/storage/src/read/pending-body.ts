import type { OrderedMap } from '@holdfast/foundation';
import { ObjectNotFoundError } from '../errors.ts';
import { errnoOf } from '../files/errno.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import { cacheControlOf } from '../object/cache-control.ts';
import type { KeyWrites } from '../replication/key-replica.ts';
import type { Download } from '../storage.ts';
import {
  type ResumingBodyOptions,
  bufferedDownload,
  leavableBody,
  toDownload,
  verifiedBody,
} from './download-body.ts';
import type { PassedWrites } from './passed-writes.ts';

/** The writes that wait here. */
export interface PendingWrites {
  readonly keys: Pick<OrderedMap<KeyWrites>, 'get'>;
  readonly log: OperationLog;
  readonly passed: PassedWrites;
}

export interface FoundBody {
  readonly download: Download;
  /** Whether its bytes are here already, whatever becomes of the object. */
  readonly isInMemory: boolean;
}

/** The body of a write that a backend does not have yet; throws when the write is a removal. */
export async function pendingBody(
  { log }: PendingWrites,
  { key, newest }: KeyWrites,
  again: () => Promise<AsyncIterable<Uint8Array>>,
  options: ResumingBodyOptions,
): Promise<FoundBody | undefined> {
  if (newest.kind === 'remove') throw new ObjectNotFoundError(key, 'it was removed');
  const { size, contentType, maxAgeSeconds, metadata, sha256 } = newest;
  try {
    const source = await log.body(newest);
    const cacheControl = cacheControlOf(maxAgeSeconds);
    const head = { key, size, contentType, cacheControl, metadata };
    if (source.bytes !== undefined) {
      return { download: bufferedDownload('pending', head, source.bytes), isInMemory: true };
    }
    const openAt = async (from: number) => openedAgain(source.open(from), again, from);
    const body = verifiedBody(key, leavableBody(await openAt(0), openAt, options), sha256);
    return { download: toDownload('pending', head, body), isInMemory: false };
  } catch (error) {
    if (log.isDamaged(newest)) throw error;
    // It was settled and dropped meanwhile: a backend has it now.
    return undefined;
  }
}

/** A file that was dropped before it was opened: a backend has its bytes now, `from` on of which are wanted. */
async function* openedAgain(
  file: AsyncIterable<Uint8Array>,
  again: () => Promise<AsyncIterable<Uint8Array>>,
  from: number,
): AsyncGenerator<Uint8Array> {
  let isOpen = false;
  try {
    for await (const chunk of file) {
      isOpen = true;
      yield chunk;
    }
  } catch (error) {
    if (isOpen || errnoOf(error) !== 'ENOENT') throw error;
    let left = from;
    for await (const chunk of await again()) {
      const skipped = Math.min(left, chunk.byteLength);
      left -= skipped;
      if (skipped < chunk.byteLength) yield chunk.subarray(skipped);
    }
  }
}
