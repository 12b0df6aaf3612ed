import { encodeFrame } from './segment-format.ts';

/** Records that become durable together. */
export interface Batch {
  readonly payloads: readonly Uint8Array[];
  /** Their size in a segment, frames included. */
  readonly bytes: number;
}

/** The buffer is kept from batch to batch up to this size. */
const KEPT_BUFFER_BYTES = 1_114_112;

/** Encodes batches into one buffer, which is valid until the next call. */
export class BatchEncoder {
  #buffer = Buffer.allocUnsafeSlow(65_536);

  encode({ payloads, bytes }: Batch, salt: number, firstSequence: number): Buffer {
    if (this.#buffer.length < bytes && bytes <= KEPT_BUFFER_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(Math.min(KEPT_BUFFER_BYTES, bytes * 2));
    }
    const into = bytes <= this.#buffer.length ? this.#buffer : Buffer.allocUnsafeSlow(bytes);
    let offset = 0;
    let batchIndex = 0;
    for (const payload of payloads) {
      const sequence = firstSequence + batchIndex;
      offset = encodeFrame(into, offset, { salt, sequence, batchIndex, payload });
      batchIndex += 1;
    }
    return into.subarray(0, bytes);
  }
}
