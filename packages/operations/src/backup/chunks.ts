/** Collects bytes into chunks of one size; the last one may be shorter, and is empty only for no bytes at all. */
export async function* chunksOf(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly chunk: Buffer; readonly isLast: boolean }> {
  let chunk = Buffer.allocUnsafe(size);
  let used = 0;
  for await (const bytes of source) {
    for (let from = 0; from < bytes.length;) {
      if (used === size) {
        yield { chunk, isLast: false };
        chunk = Buffer.allocUnsafe(size);
        used = 0;
      }
      const taken = Math.min(size - used, bytes.length - from);
      chunk.set(bytes.subarray(from, from + taken), used);
      used += taken;
      from += taken;
    }
  }
  yield { chunk: chunk.subarray(0, used), isLast: true };
}
