import { JournalFullError, type JournalLimit, JournalRecordTooLargeError } from '../errors.ts';
import { FRAME_BYTES } from '../segments/segment-format.ts';

export interface Limits {
  readonly maxBytes: number;
  readonly maxRecords: number;
  readonly maxRecordBytes: number;
  readonly maxPendingBytes: number;
}

/** What is taken of each limit. */
export interface Usage {
  readonly heldBytes: number;
  readonly heldRecords: number;
  readonly pendingBytes: number;
  readonly pendingRecords: number;
}

/**
 * Whether the records fit; gives the bytes they take, frames included.
 * @throws JournalRecordTooLargeError, JournalFullError
 */
export function admit(payloads: readonly Uint8Array[], limits: Limits, usage: Usage): number {
  let bytes = 0;
  for (const { byteLength } of payloads) {
    if (byteLength > limits.maxRecordBytes) {
      throw new JournalRecordTooLargeError(byteLength, limits.maxRecordBytes);
    }
    bytes += FRAME_BYTES + byteLength;
  }
  const { heldBytes, heldRecords, pendingBytes, pendingRecords } = usage;
  refuseAbove('pending', pendingBytes, bytes, limits.maxPendingBytes);
  refuseAbove('bytes', heldBytes + pendingBytes, bytes, limits.maxBytes);
  refuseAbove('records', heldRecords + pendingRecords, payloads.length, limits.maxRecords);
  return bytes;
}

const cures = {
  pending: 'the disk is slower than the callers: wait for earlier appends',
  bytes: 'release records, or raise maxBytes',
  records: 'release records, or raise maxRecords',
} as const;

function refuseAbove(
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
    `journal: ${added} ${unit} more were refused with ${current} of at most ${max} ${kind}; ${cures[limit]}`,
    { current, max },
  );
}
