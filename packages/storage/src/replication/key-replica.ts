import type { BackendFailure } from '../backend.ts';
import { ListNode } from '@holdfast/foundation';
import type { Operation } from '../journal/operation.ts';
import { InDoubtWrites } from './in-doubt-writes.ts';
import type { NextStep } from './deliver.ts';

/**
 * Where one key stands with one backend:
 *
 *                    accepted                    taken
 *         idle ────────────────▶ waiting ───────────────▶ running
 *          ▲  ▲                    │  ▲                     │ │ │
 *          │  │ overtaken or       │  │ later: backoff,     │ │ │
 *          │  │ discarded          │  │ late write, look    │ │ │
 *          │  └──── refused ◀──────┘  └─────────────────────┘ │ │
 *          │            ▲   the backend never takes it        │ │
 *          │            └─────────────────────────────────────┘ │
 *          └────────────── the backend has the newest ──────────┘
 *
 * `resting` is `idle` for everybody but the journal: an earlier process may have sent the same write, and
 * the next process has to know of it for as long as that may be applied.
 */
export type ReplicaState = 'idle' | 'waiting' | 'running' | 'resting' | 'refused';

/** One key's way to one backend. One request at a time, and always the newest operation. */
export class KeyReplica extends ListNode {
  readonly key: string;
  readonly backend: string;
  state: ReplicaState = 'idle';
  /** Everything up to this generation is there, or was overtaken by what is. */
  settledGeneration = 0;
  /**
   * When the newest operation was accepted, by the clock's `now()`: what an earlier process accepted lies
   * before this one's time by as much as the wall clock says.
   */
  acceptedAtMs = 0;
  /** What is being sent. */
  running: Operation | undefined;
  /** Something may be there that we were not told of: look before sending. */
  isInDoubt = false;
  /** Not the first attempt, or not the process that accepted it: others may have written meanwhile. */
  isDelayed = false;
  /** When the backend last denied it; `undefined` once it was let in. */
  deniedAtMs: number | undefined;
  /** A removal of ours may still be applied: that nothing is there may be its doing. */
  isRemovalInDoubt = false;
  /** When what is there is looked at once more, because a late write may have undone it. */
  verifyAtMs: number | undefined;
  /** What is there is known to be durable in the journal as well. */
  keptGeneration = 0;
  failures = 0;
  refusal: BackendFailure | undefined;
  /** How far a large upload is, and of which generation. */
  progress: { generation: number; state: unknown } | undefined;
  readonly inDoubtWrites: InDoubtWrites = new InDoubtWrites();
  /** Where its turn leads; known from the turn's end to the lane's next state. */
  nextStep: NextStep | undefined;

  constructor(key: string, backend: string) {
    super();
    this.key = key;
    this.backend = backend;
  }
}

/** A key with writes that not every backend has. */
export interface KeyWrites {
  readonly key: string;
  newest: Operation;
  /**
   * Overtaken, but perhaps still under way to a server: kept in the journal as long as that may last, so
   * that the next process knows of it too.
   */
  inDoubt: Operation[];
  readonly replicas: readonly KeyReplica[];
}

/** A chain's lane to the backend of that place in the order. */
export function replicaOf(chain: KeyWrites, { index }: { readonly index: number }): KeyReplica {
  const lane = chain.replicas[index];
  if (lane === undefined) throw new RangeError(`no lane to backend ${index}`);
  return lane;
}
