/** One accepted write; it is kept until every backend has it. */
export interface Operation {
  readonly kind: 'put' | 'remove';
  readonly key: string;
  /** Begins with the journal's id and the nonce of its life, which distinguish our writes from those of others. */
  readonly id: string;
  /** Higher than that of every earlier operation of this storage, in earlier processes too. */
  readonly generation: number;
  readonly acceptedAtEpochMs: number;
  readonly size: number;
  /** Empty for a removal. */
  readonly sha256: string;
  readonly contentType: string;
  readonly maxAgeSeconds: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** A removal after which another writer's object, found in its place after an outage, stays. */
  readonly onlyOurs?: boolean;
  /** The file of its bytes; absent when they are in the journal's record. */
  readonly blob?: string;
}

/** The writes of a key that the journal holds when it is opened. */
export interface UnfinishedWrites {
  readonly newest: Operation;
  /** Older operations that not every backend has: a server may still apply one of them. */
  readonly superseded: readonly Operation[];
  /** For each backend: the generation up to which it has everything, and the progress of a large upload. */
  readonly settled: ReadonlyMap<string, number>;
  readonly progress: ReadonlyMap<string, { generation: number; state: unknown }>;
}
