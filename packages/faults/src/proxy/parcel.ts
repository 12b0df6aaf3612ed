/**
 * What travels through one direction of a connection, with the moment at which it may leave:
 * bytes; `end`, a half-close; `close`, both directions closed in order; `reset`, a RST to both ends.
 */
export type Parcel =
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
export type Stage = (parcel: Parcel) => readonly Parcel[];

/** The parcel, not before `dueMs`. */
export function notBefore(parcel: Parcel, dueMs: number): Parcel {
  return dueMs > parcel.dueMs ? { ...parcel, dueMs } : parcel;
}

/** The parcel, at `dueMs` if it was to leave later. */
export function notAfter(parcel: Parcel, dueMs: number): Parcel {
  return dueMs < parcel.dueMs ? { ...parcel, dueMs } : parcel;
}
