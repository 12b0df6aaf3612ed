import { callSafely, propertyOf, requireNode, sleep } from '@holdfast/foundation';
import {
  type Coalescer,
  type HealthState,
  type ResilienceStack,
  type StackOutcome,
  createCoalescer,
  createResilienceStack,
  isRefusal,
} from '@holdfast/resilience';
import {
  type LayerExtractor,
  type LayerResult,
  type LegislativeLayerType,
  legislativeLayers,
} from '../atlas.ts';
import { LayerFiles } from './layer-files.ts';
import {
  type BatchOrchestratorOptions,
  type ExtractionTask,
  type ResolvedBatchOptions,
  parseBatchOptions,
} from './orchestrator-options.ts';

/** What became of one task. */
export type TaskOutcome = ExtractionTask & {
  /** How often the batch came back to it, the first time included; 0 for one that was stored. */
  readonly passes: number;
} & (
    | { readonly kind: 'extracted'; readonly result: LayerResult }
    /** An earlier batch has stored it. */
    | { readonly kind: 'stored'; readonly result: LayerResult }
    /** Left out; the rest of the batch goes on. */
    | { readonly kind: 'failed'; readonly error: unknown }
  );

/** What became of a batch, task by task. */
export interface BatchReport {
  readonly outcomes: readonly TaskOutcome[];
  readonly extracted: number;
  readonly stored: number;
  readonly failed: number;
  readonly features: number;
  /** Without a failed task. */
  readonly isComplete: boolean;
}

/** Options of one batch. */
export interface BatchRunOptions {
  /** Ends the batch; it rejects with the signal's reason. What is stored stays. */
  readonly signal?: AbortSignal;
}

/**
 * Extracts layers of states, several at a time, each within the policies of one stack and a circuit of its own. A task
 * that fails does not end the batch: the batch comes back to it when its circuit permits, and leaves it out at last.
 */
export class BatchOrchestrator {
  /** Replaceable; it runs within `resilience`. */
  readonly extractor: LayerExtractor;
  /** The policies around each task; the keys are `WI-congressional`. */
  readonly resilience: ResilienceStack;
  readonly #options: ResolvedBatchOptions;
  readonly #files: LayerFiles | undefined;
  readonly #running: Coalescer<TaskOutcome> = createCoalescer();

  /** @throws InvalidOptionError */
  constructor(options: BatchOrchestratorOptions = {}) {
    requireNode('BatchOrchestrator');
    this.#options = parseBatchOptions(options);
    const { extractor, directory, circuitBreaker, retry, bulkhead } = this.#options;
    const { timeoutMs, clock, random } = this.#options;
    this.extractor = extractor;
    this.#files = directory === undefined ? undefined : new LayerFiles(directory);
    this.resilience = createResilienceStack({
      name: 'state-extraction',
      circuitBreaker,
      retry,
      bulkhead,
      timeoutMs,
      clock,
      random,
    });
  }

  /**
   * Extracts one layer, in one pass.
   * @returns `null` when it fails: the work goes on without it.
   * @throws the signal's reason
   */
  executeTask(
    state: string,
    layer: LegislativeLayerType,
    { signal }: BatchRunOptions = {},
  ): Promise<LayerResult | null> {
    const task = { state, layer };
    return this.resilience.execute(keyOf(task), (within) => this.#extract(task, within), {
      fallbackValue: null,
      signal,
    });
  }

  /** Extracts every layer of a state. Concurrent calls share each of its tasks. */
  extractState(state: string, options?: BatchRunOptions): Promise<BatchReport> {
    return this.run(
      legislativeLayers.map((layer) => ({ state, layer })),
      options,
    );
  }

  /**
   * Extracts all tasks, or what of them can be extracted.
   * @throws the signal's reason; the system's own error when a layer cannot be stored
   */
  async run(
    tasks: readonly ExtractionTask[],
    { signal }: BatchRunOptions = {},
  ): Promise<BatchReport> {
    const queue = tasks.entries();
    const outcomes: TaskOutcome[] = [];
    const counts = { extracted: 0, stored: 0, failed: 0, features: 0 };
    const failing = new AbortController();
    const within = signal ? AbortSignal.any([signal, failing.signal]) : failing.signal;
    const work = async (): Promise<void> => {
      for (const [at, task] of queue) {
        const outcome = await this.#shared(task, within);
        outcomes[at] = outcome;
        counts[outcome.kind] += 1;
        if (outcome.kind !== 'failed') counts.features += outcome.result.featureCount;
        this.#report(tasks.length, counts);
      }
    };
    // As many as run at a time: the others need no place in the queue of the bulkhead.
    const slots = Math.min(this.#options.bulkhead.maxConcurrent ?? tasks.length, tasks.length);
    const workers = Array.from({ length: slots }, () =>
      work().catch((error: unknown) => {
        failing.abort(error);
        throw error;
      }),
    );
    await Promise.all(workers);
    return { outcomes, ...counts, isComplete: counts.failed === 0 };
  }

  /** Whether tasks get through, with reasons. */
  getHealthState(): HealthState {
    return this.resilience.getHealthState();
  }

  /** Refuses later tasks. Calling it twice does nothing more. */
  async close(): Promise<void> {
    await this.resilience.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #shared(task: ExtractionTask, signal: AbortSignal): Promise<TaskOutcome> {
    const complete = (within: AbortSignal): Promise<TaskOutcome> => this.#complete(task, within);
    return this.#running.execute(keyOf(task), complete, { signal });
  }

  #report(
    total: number,
    { extracted, stored, failed, features }: Omit<BatchReport, 'outcomes' | 'isComplete'>,
  ): void {
    const { onProgress } = this.#options;
    if (onProgress === undefined) return;
    callSafely('onProgress', onProgress, {
      total,
      extracted: extracted + stored,
      failed,
      features,
    });
  }

  /** Comes back to a task until it is extracted, fails for good, or has failed in its last pass. */
  async #complete(task: ExtractionTask, signal: AbortSignal): Promise<TaskOutcome> {
    const stored = await this.#files?.find(task);
    if (stored !== undefined) return { ...task, kind: 'stored', passes: 0, result: stored };
    const { maxPasses, clock } = this.#options;
    for (let passes = 1; ; passes += 1) {
      const outcome = await this.resilience.tryExecute(
        keyOf(task),
        (within) => this.#extract(task, within),
        { signal },
      );
      if (outcome.kind === 'aborted') throw outcome.reason;
      if (outcome.kind === 'value') {
        await this.#files?.store(task, outcome.value);
        return { ...task, kind: 'extracted', passes, result: outcome.value };
      }
      const { error } = outcome;
      if (passes >= maxPasses || !mayPass(outcome))
        return { ...task, kind: 'failed', passes, error };
      await sleep(clock, this.#pauseMs(task, error), signal);
    }
  }

  /** Until the circuit of the task permits a call again, or what the error asks for. */
  #pauseMs(task: ExtractionTask, error: unknown): number {
    const { maxPauseMs, retry, circuitBreaker } = this.#options;
    const isOpen = this.resilience.circuitBreaker(keyOf(task))?.getStats().state !== 'closed';
    const ownMs = isOpen ? circuitBreaker.openDurationMs : retry.maxDelayMs;
    return Math.min(maxPauseMs, Math.max(0, retryAfterOf(error) ?? ownMs ?? maxPauseMs));
  }

  #extract(task: ExtractionTask, signal: AbortSignal): Promise<LayerResult> {
    const { chaos } = this.#options;
    const work = (within: AbortSignal = signal): Promise<LayerResult> =>
      this.extractor.extractLayer(task.state, task.layer, { signal: within });
    return chaos === undefined ? work() : chaos.execute(work, { signal, key: keyOf(task) });
  }
}

/** `WI-congressional`: the key of a task's circuit. */
function keyOf({ state, layer }: ExtractionTask): string {
  return `${state}-${layer}`;
}

/** A refusal says nothing about the task; what several attempts ended with may have passed by the next time. */
function mayPass(outcome: StackOutcome<unknown>): boolean {
  if (outcome.kind === 'refused')
    return propertyOf(outcome.error, 'code') !== 'RESILIENCE_STACK_CLOSED';
  if (outcome.kind !== 'failure') return false;
  const { error } = outcome;
  if (isRefusal(error) || propertyOf(error, 'retryable') === true) return true;
  // It was not the last failure that ended it, but a limit, or a circuit that opened.
  const isExhausted = propertyOf(error, 'code') === 'RESILIENCE_RETRY_EXHAUSTED';
  return isExhausted && propertyOf(error, 'exhaustedBy') !== 'not-retryable';
}

function retryAfterOf(error: unknown): number | undefined {
  const given = propertyOf(error, 'retryAfterMs');
  return typeof given === 'number' ? given : undefined;
}
