import type { PublishedJob } from './backend.ts';

/** A job as the journal holds it: what `publish` needs, and whose numbering it carries. */
export interface StoredJob extends PublishedJob {
  readonly topic: string;
  readonly originEpoch: number;
}

/**
 * Layout, big-endian:
 *
 *     0  version (3)      1  unique (0 or 1)   2  topic bytes (u16)   4  id bytes (u16)
 *     6  origin epoch (u32)                   10  sequence (u48)
 *    16  enqueued at, epoch ms (f64)          24  due at, epoch ms (f64)
 *    32  place bytes (u8)
 *    33  topic, id, place, payload as UTF-8
 *
 * Version 1 had no `due at`, version 2 no place.
 */
const VERSION = 3;
const HEADER_BYTES = 33;
/** By version. */
const HEADERS: ReadonlyMap<number, number> = new Map([
  [1, 24],
  [2, 32],
  [VERSION, HEADER_BYTES],
]);

export function encodeJob(job: StoredJob): Buffer {
  const topicBytes = Buffer.byteLength(job.topic);
  const idBytes = Buffer.byteLength(job.id);
  const { place = '' } = job;
  const payloadAt = HEADER_BYTES + topicBytes + idBytes + place.length;
  const record = Buffer.allocUnsafe(payloadAt + Buffer.byteLength(job.payload));
  record.writeUInt8(VERSION, 0);
  record.writeUInt8(job.unique ? 1 : 0, 1);
  record.writeUInt16BE(topicBytes, 2);
  record.writeUInt16BE(idBytes, 4);
  record.writeUInt32BE(job.originEpoch, 6);
  record.writeUIntBE(job.sequence, 10, 6);
  record.writeDoubleBE(job.enqueuedAtMs, 16);
  record.writeDoubleBE(job.dueAtMs, 24);
  record.write(job.topic, HEADER_BYTES);
  record.write(job.id, HEADER_BYTES + topicBytes);
  record.writeUInt8(place.length, 32);
  if (place !== '') record.write(place, HEADER_BYTES + topicBytes + idBytes, 'latin1');
  record.write(job.payload, payloadAt);
  return record;
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
  const placeEnd = idEnd + (version === VERSION ? record.readUInt8(32) : 0);
  return {
    unique: record.readUInt8(1) === 1,
    originEpoch: record.readUInt32BE(6),
    sequence: record.readUIntBE(10, 6),
    enqueuedAtMs: record.readDoubleBE(16),
    dueAtMs: version === 1 ? 0 : record.readDoubleBE(24),
    topic: record.toString('utf8', headerBytes, topicEnd),
    id: record.toString('utf8', topicEnd, idEnd),
    ...(placeEnd > idEnd && { place: record.toString('latin1', idEnd, placeEnd) }),
    payload: record.toString('utf8', placeEnd),
  };
}
