import type { EsimGoFault } from './faults.ts';

/** A body as text, in pieces that are made as they are sent. */
export type BodyPieces = Iterable<string>;

type FaultOf<Kind extends EsimGoFault['kind']> = Extract<EsimGoFault, { kind: Kind }>;

const PIECE_CHARACTERS = 65_536;

/** `before`, the items with commas between them, and `after`: all in large pieces, of which one is held at a time. */
export function* listPieces(
  before: string,
  items: Iterable<string>,
  after: string,
): Generator<string> {
  let piece = before;
  let separator = '';
  for (const item of items) {
    piece += separator + item;
    separator = ',';
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
  }
  yield piece + after;
}

/** The body that a fault sends instead: no JSON. */
export function malformedPieces(
  body: BodyPieces,
  { body: kind }: FaultOf<'malformed'>,
): readonly [type: string, pieces: BodyPieces] {
  switch (kind) {
    case 'truncated':
      return ['application/json', firstHalf(body)];
    case 'html':
      return ['text/html', ['<html><body><h1>502 Bad Gateway</h1></body></html>']];
    case 'empty':
      return ['application/json', []];
    case 'text':
    default:
      return ['application/json', ['{"bundles": [}, NaN']];
  }
}

/** Half of the first piece: JSON that does not end. */
export function* firstHalf(body: BodyPieces): Generator<string> {
  for (const piece of body) {
    yield piece.slice(0, piece.length >> 1);
    return;
  }
}

/** Leaves fields out of each `every`th text, and sets others. */
export function* damaged(
  texts: Iterable<string>,
  { every = 1, omit = [], set = {} }: FaultOf<'damage'>,
): Generator<string> {
  let at = 0;
  for (const text of texts) {
    at += 1;
    if (at % every !== 0) {
      yield text;
      continue;
    }
    const bundle: unknown = JSON.parse(text);
    const fields = typeof bundle === 'object' && bundle !== null ? Object.entries(bundle) : [];
    const kept = fields.filter(([name]) => !omit.includes(name));
    yield JSON.stringify({ ...Object.fromEntries(kept), ...set });
  }
}
