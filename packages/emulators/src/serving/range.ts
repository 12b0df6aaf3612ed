/** The bytes a Range header asks for, both ends included; `whole` when it asks for none in particular. */
type ByteRange = { readonly first: number; readonly last: number } | 'whole' | 'unsatisfiable';

/** A header of several ranges, or of none that can be read, is as good as absent (RFC 9110, 14.2). */
export function parseRange(header: string | undefined, size: number): ByteRange {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return 'whole';
  if (from === '') {
    const suffix = Number(to);
    if (suffix === 0 || size === 0) return 'unsatisfiable';
    return { first: Math.max(0, size - suffix), last: size - 1 };
  }
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== '' && Number(to) < first) return 'whole';
  return first < size ? { first, last } : 'unsatisfiable';
}
