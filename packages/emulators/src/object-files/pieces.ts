import { type OptionRule, integer, object, string } from '@holdfast/foundation';
import { listOf } from '../options/list-rule.ts';
import type { Blobs, Span } from './blobs.ts';

/** The bytes of an object that one request uploaded. */
export interface Piece {
  readonly blob: string;
  readonly size: number;
}

/** A text field of a record. */
export const textRule: OptionRule<string> = string({ minLength: 0, maxLength: 65_536 });
export const countRule: OptionRule<number> = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
export const piecesRule: OptionRule<readonly Piece[]> = listOf(
  object({ blob: textRule, size: countRule }),
);

export function sizeOf(pieces: readonly { readonly size: number }[]): number {
  return pieces.reduce((sum, { size }) => sum + size, 0);
}

/** The parts of the blobs that hold an object's bytes from `first` to `last`. */
export function spansOf(
  pieces: readonly Piece[],
  first: number = 0,
  last: number = Infinity,
): Span[] {
  const spans: Span[] = [];
  let start = 0;
  for (const { blob, size } of pieces) {
    const end = Math.min(size, last - start + 1) - 1;
    const span = { blob, first: Math.max(0, first - start), last: end };
    if (span.first <= span.last) spans.push(span);
    start += size;
  }
  return spans;
}

export function duplicatePieces(blobs: Blobs, pieces: readonly Piece[]): Promise<Piece[]> {
  return Promise.all(
    pieces.map(async ({ blob, size }) => ({ blob: await blobs.duplicate(blob), size })),
  );
}

/** Removes the blobs of these pieces, except those that `kept` uses too. */
export async function removePieces(
  blobs: Blobs,
  pieces: readonly Piece[],
  kept: readonly Piece[] = [],
): Promise<void> {
  const used = new Set(kept.map(({ blob }) => blob));
  for (const { blob } of pieces) if (!used.has(blob)) await blobs.remove(blob);
}
