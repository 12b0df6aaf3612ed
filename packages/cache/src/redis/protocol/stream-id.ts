/** The id of an entry in a stream, such as `1700000000000-3`. Ids rise in the order of execution. */
export type StreamId = string;

/** Before all others. */
export const FIRST_ID: StreamId = '0-0';
const LAST_SEQUENCE = 18_446_744_073_709_551_615n;

/** When the entry was made, by the clock of the server, in milliseconds since 1970. */
export function msOf(id: StreamId): number {
  return Number(partsOf(id)[0]);
}

/** Negative if `left` is before `right`, 0 if they are one. */
export function compareIds(left: StreamId, right: StreamId): number {
  const [leftMs, leftSequence] = partsOf(left);
  const [rightMs, rightSequence] = partsOf(right);
  if (leftMs !== rightMs) return leftMs < rightMs ? -1 : 1;
  if (leftSequence === rightSequence) return 0;
  return leftSequence < rightSequence ? -1 : 1;
}

export function laterOf(left: StreamId, right: StreamId): StreamId {
  return compareIds(left, right) < 0 ? right : left;
}

/** The id right before: what is read after it begins with `id` itself. */
export function previousId(id: StreamId): StreamId {
  const [ms, sequence] = partsOf(id);
  if (sequence > 0n) return `${ms}-${sequence - 1n}`;
  return ms === 0n ? FIRST_ID : `${ms - 1n}-${LAST_SEQUENCE}`;
}

/** @throws SyntaxError for what is no id */
function partsOf(id: StreamId): [bigint, bigint] {
  const [ms = '', sequence = ''] = id.split('-');
  return [BigInt(ms), BigInt(sequence)];
}
