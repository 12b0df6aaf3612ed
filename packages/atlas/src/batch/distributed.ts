import type { Consumer, Queue } from '@holdfast/queue';
import type { LegislativeLayerType } from '../atlas.ts';
import { TaskNotExtractedError } from '../errors.ts';
import type { BatchOrchestrator } from './batch-orchestrator.ts';
import type { ExtractionTask } from './orchestrator-options.ts';

/** Options of {@link enqueueTasks}. */
export interface EnqueueTasksOptions {
  /** Of these tasks: of two with the same name, a task is queued once. */
  readonly batch: string;
  /** Default `atlas-extraction`. */
  readonly topic?: string;
  /** Ends the waiting; tasks that were accepted stay queued. */
  readonly signal?: AbortSignal;
}

/** Options of {@link workTasks}. */
export interface WorkTasksOptions {
  /** Default `atlas-extraction`. */
  readonly topic?: string;
  /** Tasks at a time. Default 5. */
  readonly concurrency?: number;
  /** Attempts at a task, over all workers, before it is a dead letter. Default 5. */
  readonly maxAttempts?: number;
  /** The pause before the second attempt, doubled with each, in milliseconds. Default 1 000. */
  readonly retryDelayMs?: number;
}

const TOPIC = 'atlas-extraction';

/**
 * Puts the tasks of a batch on a queue, from which any number of processes take them.
 * @returns how many were accepted
 * @throws what the queue does
 */
export async function enqueueTasks(
  queue: Pick<Queue, 'enqueueMany'>,
  tasks: readonly ExtractionTask[],
  { batch, topic = TOPIC, signal }: EnqueueTasksOptions,
): Promise<number> {
  const jobs = tasks.map(({ state, layer }) => ({
    payload: { state, layer },
    jobId: `${batch}:${state}-${layer}`,
  }));
  const accepted = await queue.enqueueMany(topic, jobs, signal === undefined ? {} : { signal });
  return accepted.length;
}

/**
 * Extracts the tasks of a queue until the returned consumer is closed. A task that fails goes back to the queue, and one
 * whose process dies is taken over by another; a layer that is stored already is not extracted again.
 * @throws what the queue does
 */
export function workTasks(
  queue: Pick<Queue, 'process'>,
  orchestrator: BatchOrchestrator,
  options: WorkTasksOptions = {},
): Consumer {
  const { topic = TOPIC, concurrency = 5, maxAttempts = 5, retryDelayMs = 1_000 } = options;
  return queue.process<string>(
    topic,
    async ({ payload }, { signal }) => {
      const task = taskOf(payload);
      const { outcomes } = await orchestrator.run([task], { signal });
      const [outcome] = outcomes;
      if (outcome?.kind === 'failed') {
        throw new TaskNotExtractedError(`${task.state}-${task.layer}`, outcome.error);
      }
    },
    { concurrency, maxAttempts, retryDelayMs },
  );
}

const LAYERS: ReadonlyMap<unknown, LegislativeLayerType> = new Map(
  (['congressional', 'state_senate', 'state_house'] as const).map((layer) => [layer, layer]),
);

function taskOf(payload: unknown): ExtractionTask {
  const { state, layer }: Partial<Record<string, unknown>> = Object(payload);
  const known = LAYERS.get(layer);
  if (typeof state !== 'string' || known === undefined) {
    throw new TaskNotExtractedError('a job without state and layer', payload);
  }
  return { state, layer: known };
}
