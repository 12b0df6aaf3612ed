import type { PublishedJob } from '../../backend.ts';
import { timeAndRouting } from '../replies.ts';

/**
 * The layout of one job of a batch as a format of Lua's `struct` library, little-endian:
 *
 *     sequence (f64)   delay in ms, infinite for none (f64)   index in KEYS of the key of its id, or 0 (u16)
 *     length (u16) and bytes of: enqueued at, routing and attributes, or the operation; as they are stored
 *     length (u16) and bytes of: id       length (u32) and bytes of: payload
 */
export const JOB_LAYOUT = '<ddI2I2c0I2c0I4c0';

/** Not 0, as jobs that are due by now are still put in order by their delays. */
const NO_DELAY = Infinity;

const FIXED_BYTES = 26;
/** The longest time, expiry and routing. */
const MAX_DIGITS = 52;

/**
 * Encodes a batch as one argument of a script, which is cheaper for both sides than several arguments per job.
 * @param keyIndexOf returns the index of the key of the job's id in KEYS, or 0; called in the order of the jobs.
 */
export function encodeBatch(
  jobs: readonly PublishedJob[],
  keyIndexOf: (job: PublishedJob) => number,
): Buffer {
  let mostBytes = 0;
  for (const { id, attributes = '', payload } of jobs) {
    // Ids are short: counting their bytes costs more than reserving the most they may take.
    const names = MAX_DIGITS + 3 * (id.length + attributes.length);
    mostBytes += FIXED_BYTES + names + Buffer.byteLength(payload);
  }
  const batch = Buffer.allocUnsafeSlow(mostBytes);
  let at = 0;
  for (const job of jobs) {
    batch.writeDoubleLE(job.sequence, at);
    batch.writeDoubleLE(job.delayMs ?? NO_DELAY, at + 8);
    batch.writeUInt16LE(keyIndexOf(job), at + 16);
    at = writeCounted(batch, String(timeAndRouting(job)), at + 18);
    at = writeCounted(batch, job.id, at);
    const payloadBytes = batch.write(job.payload, at + 4);
    batch.writeUInt32LE(payloadBytes, at);
    at += 4 + payloadBytes;
  }
  return batch.subarray(0, at);
}

/** Writes the text with its length in front; returns the end. */
function writeCounted(batch: Buffer, text: string, at: number): number {
  const bytes = batch.write(text, at + 2);
  batch.writeUInt16LE(bytes, at);
  return at + 2 + bytes;
}
