import type { PublishedJob } from '../backend.ts';

/** A job as the journal stores it: the fields that `publish` needs, and the owner that numbered it. */
export interface StoredJob extends PublishedJob {
  readonly topic: string;
  readonly originEpoch: number;
  /** Absent in records of releases that had none. */
  readonly originNonce?: string | undefined;
}

/**
 * Layout, big-endian:
 *
 *     0  version (4, 5)   1  unique (0 or 1)   2  topic bytes (u16)   4  id bytes (u16)
 *     6  origin epoch (u32)                   10  sequence (u48)
 *    16  enqueued at, epoch ms (f64)          24  due at, epoch ms (f64)
 *    32  routing bytes (u8)                 33  bytes of the origin's nonce (u8)
 *    34  topic, id, routing, nonce, payload as UTF-8
 *
 * Version 1 had no `due at`, version 2 no routing, version 3 no nonce. Version 5 is for operations, and for jobs that have
 * more: before the payload, it has the bytes of these fields as JSON (u16), and the fields. Other jobs are written as
 * version 4, which earlier releases read.
 */
const VERSION = 4;
const VERSION_WITH_MORE = 5;
const HEADER_BYTES = 34;
/** By version. */
const HEADERS: ReadonlyMap<number, number> = new Map([
  [1, 24],
  [2, 32],
  [3, 33],
  [VERSION, HEADER_BYTES],
  [VERSION_WITH_MORE, HEADER_BYTES],
]);

/** Encodes the jobs as records, in one block of memory. */
export function encodeJobs(jobs: readonly StoredJob[]): Buffer[] {
  let mostBytes = 0;
  for (const job of jobs) {
    const { topic, id, routing = '', originNonce = '', payload } = job;
    // Names are short: counting their bytes costs more than reserving the most they may take.
    const nameBytes = 3 * (topic.length + id.length) + routing.length + originNonce.length;
    mostBytes += HEADER_BYTES + nameBytes + mostBytesOfMore(job) + Buffer.byteLength(payload);
  }
  const block = Buffer.allocUnsafeSlow(mostBytes);
  let start = 0;
  return jobs.map((job) => {
    const end = encodeInto(block, start, job);
    const record = block.subarray(start, end);
    start = end;
    return record;
  });
}

/** Writes one record and returns its end. */
function encodeInto(block: Buffer, start: number, job: StoredJob): number {
  const topicAt = start + HEADER_BYTES;
  const idAt = topicAt + block.write(job.topic, topicAt);
  const routingAt = idAt + block.write(job.id, idAt);
  const nonceAt = routingAt + (job.routing === undefined ? 0 : block.write(job.routing, routingAt));
  const moreAt =
    nonceAt + (job.originNonce === undefined ? 0 : block.write(job.originNonce, nonceAt));
  const payloadAt = hasMore(job) ? writeMore(block, moreAt, job) : moreAt;
  block.writeUInt8(hasMore(job) ? VERSION_WITH_MORE : VERSION, start);
  block.writeUInt8(job.unique ? 1 : 0, start + 1);
  block.writeUInt16BE(idAt - topicAt, start + 2);
  block.writeUInt16BE(routingAt - idAt, start + 4);
  block.writeUInt32BE(job.originEpoch, start + 6);
  block.writeUIntBE(job.sequence, start + 10, 6);
  block.writeDoubleBE(job.enqueuedAtMs, start + 16);
  block.writeDoubleBE(job.dueAtMs, start + 24);
  block.writeUInt8(nonceAt - routingAt, start + 32);
  block.writeUInt8(moreAt - nonceAt, start + 33);
  return payloadAt + block.write(job.payload, payloadAt);
}

/** @throws RangeError for a record of another version; the journal has checked its bytes already. */
export function decodeJob(bytes: Uint8Array): StoredJob {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = record.readUInt8(0);
  const headerBytes = HEADERS.get(version);
  if (headerBytes === undefined) {
    throw new RangeError(
      `a journal record has version ${version}, this release reads ${VERSION_WITH_MORE}: drain the journal with the ` +
        'release that wrote it',
    );
  }
  const topicEnd = headerBytes + record.readUInt16BE(2);
  const idEnd = topicEnd + record.readUInt16BE(4);
  const routingEnd = idEnd + (version >= 3 ? record.readUInt8(32) : 0);
  const nonceEnd = routingEnd + (version >= VERSION ? record.readUInt8(33) : 0);
  const more = version === VERSION_WITH_MORE ? readMore(record, nonceEnd) : undefined;
  return {
    unique: record.readUInt8(1) === 1,
    originEpoch: record.readUInt32BE(6),
    sequence: record.readUIntBE(10, 6),
    enqueuedAtMs: record.readDoubleBE(16),
    dueAtMs: version === 1 ? 0 : record.readDoubleBE(24),
    topic: record.toString('utf8', headerBytes, topicEnd),
    id: record.toString('utf8', topicEnd, idEnd),
    ...(routingEnd > idEnd && { routing: record.toString('latin1', idEnd, routingEnd) }),
    ...(nonceEnd > routingEnd && { originNonce: record.toString('latin1', routingEnd, nonceEnd) }),
    ...more?.fields,
    payload: record.toString('utf8', more?.end ?? nonceEnd),
  };
}

/** The fields that few jobs have. */
type MoreFields = Pick<StoredJob, 'attributes' | 'operation' | 'expiresInMs' | 'debounce'>;

function hasMore({ attributes, operation, expiresInMs, debounce }: StoredJob): boolean {
  return (
    attributes !== undefined ||
    operation !== undefined ||
    expiresInMs !== undefined ||
    debounce !== undefined
  );
}

function moreOf({ attributes, operation, expiresInMs, debounce }: StoredJob): string {
  const fields: MoreFields = { attributes, operation, expiresInMs, debounce };
  return JSON.stringify(fields);
}

function mostBytesOfMore(job: StoredJob): number {
  return hasMore(job) ? 2 + Buffer.byteLength(moreOf(job)) : 0;
}

/** Returns the end. */
function writeMore(block: Buffer, at: number, job: StoredJob): number {
  const bytes = block.write(moreOf(job), at + 2);
  return block.writeUInt16BE(bytes, at) + bytes;
}

function readMore(
  record: Buffer,
  at: number,
): { readonly fields: MoreFields; readonly end: number } {
  const end = at + 2 + record.readUInt16BE(at);
  const fields: MoreFields = JSON.parse(record.toString('utf8', at + 2, end));
  return { fields, end };
}
