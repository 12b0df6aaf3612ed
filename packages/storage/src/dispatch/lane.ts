import type { BackendFailure } from '../backend.ts';
import { ListNode } from '@holdfast/foundation';
import type { Operation } from '../operation.ts';
import { LateWrites } from './late-writes.ts';
import type { Next } from './turn.ts';

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
export type LaneState = 'idle' | 'waiting' | 'running' | 'resting' | 'refused';

/** One key's way to one backend. One request at a time, and always the newest operation. */
export class Lane extends ListNode {
  readonly key: string;
  readonly backend: string;
  state: LaneState = 'idle';
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
  readonly late: LateWrites = new LateWrites();
  /** Where its turn leads; known from the turn's end to the lane's next state. */
  nextStep: Next | undefined;

  constructor(key: string, backend: string) {
    super();
    this.key = key;
    this.backend = backend;
  }
}

/** A key with writes that not every backend has. */
export interface Chain {
  readonly key: string;
  newest: Operation;
  /**
   * Overtaken, but perhaps still under way to a server: kept in the journal as long as that may last, so
   * that the next process knows of it too.
   */
  doubtful: Operation[];
  readonly lanes: readonly Lane[];
}

/** A chain's lane to the backend of that place in the order. */
export function laneOf(chain: Chain, { place }: { readonly place: number }): Lane {
  const lane = chain.lanes[place];
  if (lane === undefined) throw new RangeError(`no lane to backend ${place}`);
  return lane;
}
