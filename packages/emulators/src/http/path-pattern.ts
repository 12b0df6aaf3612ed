/** The paths of a route. */
export interface PathPattern {
  matches(path: string): boolean;
}

/** A literal segment, any one segment, or all remaining segments. */
type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'rest' };

/** `undefined` for an invalid pattern. */
export function parsePattern(pattern: string): PathPattern | undefined {
  if (!pattern.startsWith('/') || pattern.length > 2_000) return undefined;
  const written = pattern.slice(1).split('/');
  const segments: Segment[] = [];
  for (const [place, text] of written.entries()) {
    const segment = parseSegment(text);
    if (segment === undefined) return undefined;
    if (segment.kind === 'rest' && place < written.length - 1) return undefined;
    segments.push(segment);
  }
  return { matches: (path) => fits(segments, path.slice(1).split('/')) };
}

function parseSegment(text: string): Segment | undefined {
  if (text === '*') return { kind: 'rest' };
  if (text.startsWith(':')) return /^:\w+$/.test(text) ? { kind: 'any' } : undefined;
  // A segment of RFC 3986 without `*` and `:`, which have a meaning of their own.
  return /^(?:[\w.~!$&'()+,;=@-]|%[0-9a-f]{2})*$/i.test(text)
    ? { kind: 'literal', text }
    : undefined;
}

function fits(segments: readonly Segment[], requested: readonly string[]): boolean {
  const last = segments.at(-1);
  if (
    last?.kind === 'rest'
      ? requested.length < segments.length
      : requested.length !== segments.length
  ) {
    return false;
  }
  return segments.every((segment, place) => {
    const text = requested[place] ?? '';
    if (segment.kind === 'literal') return text === segment.text;
    return segment.kind === 'rest' || text !== '';
  });
}
