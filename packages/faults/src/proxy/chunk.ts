/**
 * What travels through one direction of a connection, and when it may leave: bytes, `end` (a half-close), `close`
 * (FIN to both ends), or `reset` (RST to both ends).
 */
export type Chunk =
  | {
      readonly kind: 'bytes';
      readonly bytes: Buffer;
      readonly arrivedMs: number;
      readonly dueMs: number;
    }
  | { readonly kind: 'end' | 'close' | 'reset'; readonly dueMs: number };

/**
 * What one fault does to a chunk: it delays, splits, changes or drops it. The parts are in order, and one that makes
 * many of them makes each when it is asked for, so that they are never held together.
 */
export type ChunkTransform = (chunk: Chunk) => Iterable<Chunk>;

/** Returns the chunk, due no earlier than `dueMs`. */
export function notBefore(chunk: Chunk, dueMs: number): Chunk {
  return dueMs > chunk.dueMs ? { ...chunk, dueMs } : chunk;
}

/** Returns the chunk, due no later than `dueMs`. */
export function notAfter(chunk: Chunk, dueMs: number): Chunk {
  return dueMs < chunk.dueMs ? { ...chunk, dueMs } : chunk;
}
