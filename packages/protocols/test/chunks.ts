/** The bytes in pieces, each as long as the next number says; never an empty one. */
export function* cutAnywhere(bytes: Buffer, lengths: Iterable<number>): Generator<Buffer> {
  let from = 0;
  for (const length of lengths) {
    if (from >= bytes.length) return;
    const piece = bytes.subarray(from, from + Math.max(1, length));
    from += piece.length;
    yield piece;
  }
}
