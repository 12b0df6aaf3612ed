import { type Subscribe, callSafely, createEmitter } from '@holdfast/foundation';
import type { DurableContext } from '@holdfast/operations';
import { createKeyedCircuitBreakers } from '@holdfast/resilience';
import { BranchLanes } from '../git/branch-lanes.ts';
import type { EditInput } from './edit-input.ts';
import { type EditOutcome, runEdit } from './edit-run.ts';
import { type PipelineOptions, parsePipelineOptions } from './pipeline-options.ts';
import type { PipelineShared } from './pipeline-shared.ts';
import { type PipelineEvents, pipelineEventKinds } from './session-log.ts';
import type { SessionStates } from './session-store.ts';

/** The run functions of the publish pipeline. */
export type PipelineFunctions = {
  readonly publishEdit: (context: DurableContext, input: EditInput) => Promise<EditOutcome>;
};

/** The publish pipeline of one worker, for a durable runner. */
export interface PublishPipeline {
  /** For the runner's `functions`. */
  readonly functions: PipelineFunctions;
  readonly sessions: SessionStates;
  /** The log of all sessions of this worker; also on the channel `holdfast:publisher:log`. */
  readonly on: Subscribe<PipelineEvents>;
  /** Calls the listener with the runs that wait for another credential, when there is one. Returns what removes it. */
  onCredential(listener: (runIds: readonly string[]) => unknown): () => void;
}

/**
 * The stages of an edit as functions for a durable runner, with the circuits and the log that this worker's runs share.
 * @throws InvalidOptionError
 */
export function createPublishPipeline(given: PipelineOptions): PublishPipeline {
  const options = parsePipelineOptions(given);
  const { failureThreshold, openDurationMs, clock, sessions, remote } = options;
  const emitter = createEmitter<PipelineEvents>('holdfast:publisher', pipelineEventKinds);
  const listeners = new Set<(runIds: readonly string[]) => unknown>();
  const shared: PipelineShared = {
    options,
    emitter,
    lanes: new BranchLanes(),
    circuits: createKeyedCircuitBreakers('site', {
      failureThreshold,
      openDurationMs,
      clock,
      classifyResult: () => 'failure',
    }),
    waitingForCredential: new Set(),
    wake: (runIds) => {
      for (const listener of listeners) callSafely('a listener of credentials', listener, runIds);
    },
  };
  return {
    functions: { publishEdit: (context, input) => runEdit(shared, context, input) },
    sessions,
    on: emitter.on,
    onCredential(listener) {
      listeners.add(listener);
      const stop = remote.credentials.onChange(() => listener([...shared.waitingForCredential]));
      return () => {
        listeners.delete(listener);
        stop();
      };
    },
  };
}
