/**
 * What travels through one direction of a connection, with the moment at which it may leave:
 * bytes; `end`, a half-close; `close`, both directions closed in order; `reset`, a RST to both ends.
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
 * What one fault does to what travels: later, in pieces, changed, or nothing at all. It keeps its own
 * state, and answers in the order in which the parcels have to leave.
 */
export type ChunkTransform = (parcel: Chunk) => readonly Chunk[];

/** The parcel, not before `dueMs`. */
export function notBefore(parcel: Chunk, dueMs: number): Chunk {
  return dueMs > parcel.dueMs ? { ...parcel, dueMs } : parcel;
}

/** The parcel, at `dueMs` if it was to leave later. */
export function notAfter(parcel: Chunk, dueMs: number): Chunk {
  return dueMs < parcel.dueMs ? { ...parcel, dueMs } : parcel;
}
