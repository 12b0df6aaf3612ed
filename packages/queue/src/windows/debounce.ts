/** A window in which jobs of one key are merged, as a store gets it; see `DebounceOptions`. */
export interface Debounce {
  readonly key: string;
  readonly windowMs: number;
  readonly mode: 'first' | 'replace';
}
