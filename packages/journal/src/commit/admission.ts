import { JournalFullError, type JournalLimit, JournalRecordTooLargeError } from '../errors.ts';
import { FRAME_BYTES } from '../segments/segment-format.ts';

export interface JournalLimits {
  readonly maxBytes: number;
  readonly maxRecords: number;
  readonly maxRecordBytes: number;
  readonly maxPendingBytes: number;
}

/** How much of each limit is used. */
interface JournalUsage {
  readonly heldBytes: number;
  readonly heldRecords: number;
  readonly pendingBytes: number;
  readonly pendingRecords: number;
}

/**
 * Checks the records against the limits; returns their size, frames included.
 * @throws JournalRecordTooLargeError, JournalFullError
 */
export function admit(
  payloads: readonly Uint8Array[],
  limits: JournalLimits,
  usage: JournalUsage,
): number {
  let bytes = 0;
  for (const { byteLength } of payloads) {
    if (byteLength > limits.maxRecordBytes) {
      throw new JournalRecordTooLargeError(byteLength, limits.maxRecordBytes);
    }
    bytes += FRAME_BYTES + byteLength;
  }
  const { heldBytes, heldRecords, pendingBytes, pendingRecords } = usage;
  assertBelow('pending', pendingBytes, bytes, limits.maxPendingBytes);
  assertBelow('bytes', heldBytes + pendingBytes, bytes, limits.maxBytes);
  assertBelow('records', heldRecords + pendingRecords, payloads.length, limits.maxRecords);
  return bytes;
}

const remedies = {
  pending: 'the disk is slower than the callers: wait for earlier appends',
  bytes: 'release records, or raise maxBytes',
  records: 'release records, or raise maxRecords',
} as const;

function assertBelow(
  limit: Exclude<JournalLimit, 'disk'>,
  current: number,
  added: number,
  max: number,
): void {
  if (current + added <= max) return;
  const unit = limit === 'records' ? 'records' : 'bytes';
  const kind = limit === 'pending' ? 'waiting to be written' : 'kept';
  throw new JournalFullError(
    limit,
    `journal: ${added} ${unit} more were refused with ${current} of at most ${max} ${kind}; ${remedies[limit]}`,
    { current, max },
  );
}
