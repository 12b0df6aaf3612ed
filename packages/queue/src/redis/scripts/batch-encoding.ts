import type { PublishedJob } from '../../backend.ts';
import { timeAndRouting } from '../replies.ts';

/**
 * How a script reads one job of a batch, in the language of Lua's `struct` library, little-endian:
 *
 *     sequence (f64)   due at or 0 (f64)   index in KEYS of its own id's key, or 0 (u16)
 *     bytes of (u16) and: enqueued at and routing, as they are stored
 *     bytes of (u16) and: id          bytes of (u32) and: payload
 */
export const JOB_LAYOUT = '<ddI2I2c0I2c0I4c0';

const FIXED_BYTES = 26;
/** Of a number of milliseconds, and of a routing. */
const MAX_DIGITS = 36;

/**
 * A batch as one argument of a script: both ends have less work with one than with several for each job.
 * @param keyIndexOf gives a job's key among the script's, where it has one; asked in the jobs' order.
 */
export function encodeBatch(
  jobs: readonly PublishedJob[],
  keyIndexOf: (job: PublishedJob) => number,
): Buffer {
  let mostBytes = 0;
  for (const { id, payload } of jobs) {
    // An id is short: counting its bytes costs more than leaving room for the longest it may be.
    mostBytes += FIXED_BYTES + MAX_DIGITS + 3 * id.length + Buffer.byteLength(payload);
  }
  const batch = Buffer.allocUnsafeSlow(mostBytes);
  let at = 0;
  for (const job of jobs) {
    batch.writeDoubleLE(job.sequence, at);
    batch.writeDoubleLE(job.dueAtMs, at + 8);
    batch.writeUInt16LE(keyIndexOf(job), at + 16);
    at = writeCounted(batch, String(timeAndRouting(job)), at + 18);
    at = writeCounted(batch, job.id, at);
    const payloadBytes = batch.write(job.payload, at + 4);
    batch.writeUInt32LE(payloadBytes, at);
    at += 4 + payloadBytes;
  }
  return batch.subarray(0, at);
}

/** Writes how many bytes the text has, and the text; gives the routing after it. */
function writeCounted(batch: Buffer, text: string, at: number): number {
  const bytes = batch.write(text, at + 2);
  batch.writeUInt16LE(bytes, at);
  return at + 2 + bytes;
}
