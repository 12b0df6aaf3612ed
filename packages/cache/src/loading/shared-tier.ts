import type { EntryOptions } from './cache-options.ts';

/** How long a value is fresh, and how long it is kept, in milliseconds from when it was made. */
export interface EntryTimes {
  readonly freshMs: number;
  readonly keptMs: number;
}

/** What the processes share under a key. */
export interface SharedEntry<T> extends EntryTimes {
  readonly kind: 'entry';
  readonly value: T;
  readonly tags: readonly string[];
  readonly ageMs: number;
  readonly loadMs: number;
}

/** The right to ask the source on behalf of all processes; it ends with one of the two calls, neither of which waits. */
export interface SourceTurn<T> {
  readonly kind: 'turn';
  /** What the processes share, if it is over its TTL. */
  readonly stale: SharedEntry<T> | undefined;
  share(value: T, options: EntryOptions & { readonly loadMs: number }): void;
  release(): void;
}

/** What a cache shares with those of other processes. */
export interface SharedTier<T> {
  /** Never rejects; nothing is found while the tier is away. */
  find(key: string): Promise<SharedEntry<T> | undefined>;
  /**
   * The shared entry, or else the turn to ask the source. Waits while another process has the turn, and does not
   * while the tier is away.
   * @throws the signal's own reason
   */
  acquire(
    key: string,
    acceptsStale: boolean,
    signal: AbortSignal,
  ): Promise<SharedEntry<T> | SourceTurn<T>>;
  /** Whether it would be known here if an entry of that time had changed elsewhere. */
  isConfirmed(storedAtMs: number): boolean;
}
