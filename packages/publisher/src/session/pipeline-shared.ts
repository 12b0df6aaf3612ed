import type { Emitter } from '@holdfast/foundation';
import type { KeyedCircuitBreakers } from '@holdfast/resilience';
import type { BranchLanes } from '../git/branch-lanes.ts';
import type { ResolvedPipelineOptions } from './pipeline-options.ts';
import type { PipelineEvents } from './session-log.ts';

/** What all runs of one worker share. */
export interface PipelineShared {
  readonly options: ResolvedPipelineOptions;
  readonly emitter: Emitter<PipelineEvents>;
  readonly lanes: BranchLanes;
  /** A circuit for each target. */
  readonly circuits: KeyedCircuitBreakers;
  /** Runs of this worker whose push waits for another credential. */
  readonly waitingForCredential: Set<string>;
  /** Ends the wait of these runs. */
  readonly wake: (runIds: readonly string[]) => void;
}
