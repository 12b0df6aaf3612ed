/**
 * Where backups are kept. Each write is of one piece, which is small enough to be held in memory and sent again.
 *
 * What a place promises: what `write` has settled for is read back as it was, also after a crash; a write that was
 * interrupted leaves nothing, or a piece that the set's digests refuse.
 */
export interface BackupPlace {
  /** Its name in reports. */
  readonly name: string;
  /** Stores the bytes under the key, over what was there. */
  write(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** The bytes; `undefined` if there is no such key. */
  read(key: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** All keys that begin with the prefix. */
  list(prefix: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Removes the keys; those that are not there are no failure. */
  remove(keys: readonly string[], signal: AbortSignal): Promise<void>;
}
