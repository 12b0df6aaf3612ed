/** The bytes that a Range header selects, both ends included. */
interface ByteRange {
  readonly first: number;
  readonly last: number;
  readonly isPartial: boolean;
}

/**
 * `undefined` for a range that cannot be satisfied. A header of several ranges, or one that cannot be parsed, is
 * ignored (RFC 9110, 14.2).
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const everything = { first: 0, last: size - 1, isPartial: false };
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return everything;
  if (from === '') {
    const suffix = Number(to);
    if (suffix === 0 || size === 0) return undefined;
    return { first: Math.max(0, size - suffix), last: size - 1, isPartial: true };
  }
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== '' && Number(to) < first) return everything;
  return first < size ? { first, last, isPartial: true } : undefined;
}

/** The headers of a response that carries this range of an object of `size` bytes. */
export function rangeHeaders(
  { first, last, isPartial }: ByteRange,
  size: number,
): Record<string, string> {
  return {
    'accept-ranges': 'bytes',
    'content-length': String(last - first + 1),
    ...(isPartial && { 'content-range': `bytes ${first}-${last}/${size}` }),
  };
}
