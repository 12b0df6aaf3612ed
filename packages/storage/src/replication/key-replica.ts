import type { Timer } from '@holdfast/foundation';
import type { StorageFailure } from '../backend.ts';
import type { Operation } from '../journal/operation.ts';
import type { BackendWriter } from './backend-writer.ts';
import type { QueuedDelivery } from './delivery-queue.ts';
import { InDoubtWrites } from './in-doubt-writes.ts';

/**
 * The state of one key at one backend:
 *
 *                    accepted                    slot free
 *         idle ────────────────▶ waiting ───────────────▶ running
 *          ▲  ▲                    │  ▲                     │ │ │
 *          │  │ superseded or      │  │ later: backoff,     │ │ │
 *          │  │ discarded          │  │ late write, check   │ │ │
 *          │  └──── refused ◀──────┘  └─────────────────────┘ │ │
 *          │            ▲   the backend never takes it        │ │
 *          │            └─────────────────────────────────────┘ │
 *          └────────────── the backend has the newest ──────────┘
 *
 * `cooldown` is `idle` for everything but the journal: an earlier process may have sent the same write, and
 * the next process has to know about it for as long as that write may still be applied.
 */
export type ReplicaState = 'idle' | 'waiting' | 'running' | 'cooldown' | 'refused';

/** Whether the backend lacks the newest write of the key, or it has to be read back: the write is pending. */
export function isOpen(state: ReplicaState): boolean {
  return state !== 'idle' && state !== 'cooldown';
}

/** One key at one backend: at most one request at a time, always with the newest operation. */
export class KeyReplica {
  readonly key: string;
  readonly writer: BackendWriter;
  state: ReplicaState = 'idle';
  /** The backend has everything up to this generation, or a later write in its place. */
  settledGeneration = 0;
  /**
   * When the newest operation was accepted, by the clock's `now()`; for an operation of an earlier process
   * the wall clock says how long before this process that was.
   */
  acceptedAtMs = 0;
  /** The operation that is being sent. */
  running: Operation | undefined;
  /** The position in a queue of the backend. */
  slot: QueuedDelivery | undefined;
  /** Ends the state `cooldown`. */
  cooldown: Timer | undefined;
  /** The backend may have a write whose response was lost: read before sending. */
  isInDoubt = false;
  /** Not the first attempt, or accepted by another process: others may have written meanwhile. */
  isDelayed = false;
  /** When the backend last denied the key, and why; `undefined` after a success. */
  denial: { readonly atMs: number; readonly failure: StorageFailure } | undefined;
  /** A removal of ours may still be applied: a missing object may be its effect. */
  isRemovalInDoubt = false;
  /** When the object is read once more, because a late write may have undone it. */
  verifyAtMs: number | undefined;
  /** The journal durably knows that everything up to this generation is settled. */
  keptGeneration = 0;
  failures = 0;
  refusal: StorageFailure | undefined;
  /** The progress of a large upload, and its generation. */
  progress: { generation: number; state: unknown } | undefined;
  readonly inDoubtWrites: InDoubtWrites = new InDoubtWrites();

  constructor(key: string, writer: BackendWriter) {
    this.key = key;
    this.writer = writer;
  }
}

/** A key with writes that not every backend has. */
export interface KeyWrites {
  readonly key: string;
  newest: Operation;
  /**
   * Superseded operations that a server may still apply: the journal keeps them for that long, so that the
   * next process knows about them too.
   */
  inDoubt: Operation[];
  /** By the index of the backend. */
  readonly replicas: readonly KeyReplica[];
}

export function replicaOf(writes: KeyWrites, { index }: { readonly index: number }): KeyReplica {
  const replica = writes.replicas[index];
  if (replica === undefined) throw new RangeError(`no replica at backend ${index}`);
  return replica;
}

/** Whether a backend lacks the newest write of the key. */
export function isBehind(writes: KeyWrites, writer: { readonly index: number }): boolean {
  return replicaOf(writes, writer).settledGeneration < writes.newest.generation;
}
