import type { PublishedJob } from '../backend.ts';
import { OPERATIONS } from '../control/operation.ts';

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
 *     0  version (5)      1  kind (see below)  2  topic bytes (u16)   4  id bytes (u16)
 *     6  origin epoch (u32)                   10  sequence (u48)
 *    16  enqueued at, epoch ms (f64)          24  due at, epoch ms (f64)
 *    32  routing bytes (u8)                 33  bytes of the origin's nonce (u8)
 *    34  bytes of the attributes (u16)
 *    36  topic, id, routing, nonce, attributes, payload as UTF-8
 *
 * The kind is 0 for a job, 1 for one whose id its caller chose, and 2 + n for the operation n.
 *
 * Version 1 had no `due at`, version 2 no routing, version 3 no nonce, version 4 neither attributes nor operations.
 */
const VERSION = 5;
const HEADER_BYTES = 36;
const FIRST_OPERATION = 2;
/** By version. */
const HEADERS: ReadonlyMap<number, number> = new Map([
  [1, 24],
  [2, 32],
  [3, 33],
  [4, 34],
  [VERSION, HEADER_BYTES],
]);

/** Encodes the jobs as records, in one block of memory. */
export function encodeJobs(jobs: readonly StoredJob[]): Buffer[] {
  let mostBytes = 0;
  for (const { topic, id, routing = '', originNonce = '', attributes = '', payload } of jobs) {
    // Names are short: counting their bytes costs more than reserving the most they may take.
    const nameBytes =
      3 * (topic.length + id.length + attributes.length) + routing.length + originNonce.length;
    mostBytes += HEADER_BYTES + nameBytes + Buffer.byteLength(payload);
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
  const attributesAt =
    nonceAt + (job.originNonce === undefined ? 0 : block.write(job.originNonce, nonceAt));
  const payloadAt =
    attributesAt + (job.attributes === undefined ? 0 : block.write(job.attributes, attributesAt));
  block.writeUInt8(VERSION, start);
  block.writeUInt8(kindOf(job), start + 1);
  block.writeUInt16BE(idAt - topicAt, start + 2);
  block.writeUInt16BE(routingAt - idAt, start + 4);
  block.writeUInt32BE(job.originEpoch, start + 6);
  block.writeUIntBE(job.sequence, start + 10, 6);
  block.writeDoubleBE(job.enqueuedAtMs, start + 16);
  block.writeDoubleBE(job.dueAtMs, start + 24);
  block.writeUInt8(nonceAt - routingAt, start + 32);
  block.writeUInt8(attributesAt - nonceAt, start + 33);
  block.writeUInt16BE(payloadAt - attributesAt, start + 34);
  return payloadAt + block.write(job.payload, payloadAt);
}

/** @throws RangeError for a record of another version; the journal has checked its bytes already. */
export function decodeJob(bytes: Uint8Array): StoredJob {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = record.readUInt8(0);
  const headerBytes = HEADERS.get(version);
  if (headerBytes === undefined) {
    throw new RangeError(
      `a journal record has version ${version}, this release reads ${VERSION}: drain the journal with the ` +
        'release that wrote it',
    );
  }
  const topicEnd = headerBytes + record.readUInt16BE(2);
  const idEnd = topicEnd + record.readUInt16BE(4);
  const routingEnd = idEnd + (version >= 3 ? record.readUInt8(32) : 0);
  const nonceEnd = routingEnd + (version >= 4 ? record.readUInt8(33) : 0);
  const attributesEnd = nonceEnd + (version === VERSION ? record.readUInt16BE(34) : 0);
  const kind = record.readUInt8(1);
  const operation = OPERATIONS[kind - FIRST_OPERATION];
  return {
    unique: kind === 1,
    ...(operation !== undefined && { operation }),
    originEpoch: record.readUInt32BE(6),
    sequence: record.readUIntBE(10, 6),
    enqueuedAtMs: record.readDoubleBE(16),
    dueAtMs: version === 1 ? 0 : record.readDoubleBE(24),
    topic: record.toString('utf8', headerBytes, topicEnd),
    id: record.toString('utf8', topicEnd, idEnd),
    ...(routingEnd > idEnd && { routing: record.toString('latin1', idEnd, routingEnd) }),
    ...(nonceEnd > routingEnd && { originNonce: record.toString('latin1', routingEnd, nonceEnd) }),
    ...(attributesEnd > nonceEnd && {
      attributes: record.toString('utf8', nonceEnd, attributesEnd),
    }),
    payload: record.toString('utf8', attributesEnd),
  };
}

function kindOf({ unique, operation }: StoredJob): number {
  if (operation !== undefined) return FIRST_OPERATION + OPERATIONS.indexOf(operation);
  return unique ? 1 : 0;
}
