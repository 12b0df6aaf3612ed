/** One accepted write, as it is kept until every backend has it. */
export interface Operation {
  readonly kind: 'put' | 'remove';
  readonly key: string;
  /** Begins with the journal's id, so that what this storage wrote is told from what others did. */
  readonly id: string;
  /** Higher than that of every earlier operation of this storage, also of an earlier process. */
  readonly generation: number;
  readonly acceptedAtEpochMs: number;
  readonly size: number;
  /** Empty for a removal. */
  readonly sha256: string;
  readonly contentType: string;
  readonly maxAgeSeconds: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** The file its bytes are in; absent when they stand in the journal's record. */
  readonly blob?: string;
}

/** What the journal still holds of a key when it is opened. */
export interface UnfinishedWrites {
  readonly newest: Operation;
  /** Older ones that not every backend had: one of them may still be under way to a server. */
  readonly superseded: readonly Operation[];
  /** For each backend: up to which generation it has everything, and how far a large upload is. */
  readonly settled: ReadonlyMap<string, number>;
  readonly progress: ReadonlyMap<string, { generation: number; state: unknown }>;
}
