import type { Durable, DurableContext, StepContext } from '@holdfast/operations';
import { SiteStoreError, StaleFenceError, UnknownSessionError } from '../errors.ts';
import type { EditInput } from './edit-input.ts';
import type { PipelineShared } from './pipeline-shared.ts';
import { RunWorkspace } from './run-workspace.ts';
import type { SessionLog, EditStage } from './session-log.ts';
import type { SessionChange, SessionState } from './session-store.ts';

const STEP_ATTEMPTS = 3;

/** What the stages of one run share. */
export class RunScope {
  readonly shared: PipelineShared;
  readonly context: DurableContext;
  readonly input: EditInput;
  readonly workspace: RunWorkspace;
  #isNetworkLost = false;

  constructor(shared: PipelineShared, context: DurableContext, input: EditInput) {
    this.shared = shared;
    this.context = context;
    this.input = input;
    this.workspace = new RunWorkspace(shared.options, context.runId);
  }

  /** The same for each run of this edit, on every branch. */
  get editKey(): string {
    return `${this.input.sessionId}.${this.input.number}`;
  }

  log(
    stage: EditStage,
    kind: SessionLog['kind'],
    level: SessionLog['level'],
    message: string,
  ): void {
    const { emitter, options } = this.shared;
    const { sessionId } = this.input;
    const { runId } = this.context;
    const atMs = options.clock.epochMs();
    emitter.emit('log', { kind, level, sessionId, runId, stage, message, atMs });
  }

  /** Runs a stage once. Before its effects the session learns of it; a worker that was replaced stops there. */
  async stage<Value extends Durable>(
    name: string,
    stage: EditStage,
    work: (step: StepContext) => Promise<Value>,
    after: (value: Value, before: SessionState) => SessionChange = () => ({}),
  ): Promise<Value> {
    const { stageTimeoutMs, roundDelayMs } = this.shared.options;
    const value = await this.context.step(
      name,
      async (step) => {
        await this.#save(step, stage, () => ({ stage, status: 'running' }));
        const done = await work(step);
        await this.#save(step, stage, (before) => after(done, before));
        return done;
      },
      {
        timeoutMs: stageTimeoutMs,
        maxAttempts: STEP_ATTEMPTS,
        initialDelayMs: roundDelayMs,
        shouldRetry: (error) => !(error instanceof StaleFenceError),
      },
    );
    this.log(stage, 'stage-done', 'info', name);
    return value;
  }

  /** A pause before the next round, which a message ends. */
  async pause(round: number, retryAfterMs: number | null): Promise<void> {
    const { roundDelayMs, maxRoundDelayMs } = this.shared.options;
    const delayMs = Math.max(roundDelayMs * 2 ** Math.min(round, 30), retryAfterMs ?? 0);
    await this.context.receive('retry', { timeoutMs: Math.min(delayMs, maxRoundDelayMs) });
  }

  networkLost(stage: EditStage, reason: string): void {
    this.#isNetworkLost = true;
    this.log(stage, 'network-error', 'error', `Network error: ${reason}`);
  }

  networkFound(stage: EditStage): void {
    if (!this.#isNetworkLost) return;
    this.#isNetworkLost = false;
    this.log(stage, 'network-restored', 'info', 'Connection restored');
  }

  /** The state tells people how an edit is; that it cannot be told is no reason to stop the edit. */
  async #save(
    { fence, signal }: StepContext,
    stage: EditStage,
    change: (before: SessionState) => SessionChange,
  ): Promise<void> {
    const { sessionId } = this.input;
    const run = { sessionId, runId: this.context.runId, fence };
    try {
      await this.shared.options.sessions.update(run, change, { signal });
    } catch (error) {
      const isTolerable = error instanceof SiteStoreError || error instanceof UnknownSessionError;
      if (!isTolerable) throw error;
      this.log(stage, 'state-not-saved', 'warning', error.message);
    }
  }
}
