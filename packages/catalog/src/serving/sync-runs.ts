import { type Clock, abortable, callSafely } from '@holdfast/foundation';
import { CatalogLockedError } from '../lock/errors.ts';
import type { CatalogSync, SyncOptions, SyncOutcome, SyncProgress } from '../sync/catalog-sync.ts';
import type { CatalogStatus, SyncFault } from './served-catalog.ts';
import { SharedRun } from './shared-run.ts';

interface SyncRunsDeps {
  readonly clock: Clock;
  /** Cancels what runs. */
  readonly closing: AbortSignal;
  /** Called before those who wait for the outcome have it. */
  readonly onOutcome: (outcome: SyncOutcome) => void;
  readonly onFailure: (error: unknown, durationMs: number) => void;
}

/** The syncs of one catalog, one at a time. */
export class SyncRuns {
  readonly #sync: CatalogSync;
  readonly #deps: SyncRunsDeps;
  readonly #listeners = new Set<(progress: SyncProgress) => void>();
  #last: { readonly run: SharedRun<SyncOutcome>; readonly allowShrink: boolean } | undefined;
  #isRunning = false;
  /** Of the one that runs. */
  progress: SyncProgress | undefined;
  lastSync: CatalogStatus['lastSync'];
  /** Since the last one that went well. */
  fault: SyncFault | undefined;

  constructor(sync: CatalogSync, deps: SyncRunsDeps) {
    this.#sync = sync;
    this.#deps = deps;
  }

  get running(): SharedRun<SyncOutcome> | undefined {
    return this.#isRunning ? this.#last?.run : undefined;
  }

  /** Joins the one that runs, unless that one would refuse what this one permits. */
  start({ allowShrink = false, onProgress }: SyncOptions = {}): SharedRun<SyncOutcome> {
    const last = this.#last;
    if (onProgress !== undefined) this.#listeners.add(onProgress);
    if (this.#isRunning && last !== undefined && (last.allowShrink || !allowShrink))
      return last.run;
    const { clock, closing } = this.#deps;
    const run = new SharedRun(async (signal) => {
      await abortable(Promise.resolve(last?.run.ended), signal);
      const startedMs = clock.now();
      try {
        const outcome = await this.#sync.run({ signal, allowShrink, onProgress: this.#onProgress });
        if (signal.aborted) outcome.index.close();
        signal.throwIfAborted();
        this.#end(startedMs, run, undefined);
        this.fault = undefined;
        this.#deps.onOutcome(outcome);
        return outcome;
      } catch (error) {
        this.#end(startedMs, run, error);
        // What was canceled has not failed.
        if (!signal.aborted) this.#fail(error, clock.now() - startedMs);
        throw error;
      }
    }, closing);
    this.#last = { run, allowShrink };
    this.#isRunning = true;
    // One that was canceled is joined by nobody.
    run.result.catch(() => this.#stop(run));
    return run;
  }

  #fail(error: unknown, durationMs: number): void {
    // Another process syncs: that is no fault, and mends none.
    if (!(error instanceof CatalogLockedError)) {
      this.fault = { error, atEpochMs: this.#deps.clock.epochMs() };
    }
    this.#deps.onFailure(error, durationMs);
  }

  #end(startedMs: number, run: SharedRun<SyncOutcome>, error: unknown): void {
    const { clock } = this.#deps;
    this.lastSync = { atEpochMs: clock.epochMs(), durationMs: clock.now() - startedMs, error };
    this.#stop(run);
  }

  #stop(run: SharedRun<SyncOutcome>): void {
    if (this.#last?.run !== run) return;
    this.#isRunning = false;
    this.#listeners.clear();
    this.progress = undefined;
  }

  readonly #onProgress = (progress: SyncProgress): void => {
    this.progress = progress;
    for (const listener of this.#listeners) {
      callSafely('onProgress of a sync of the catalog', listener, progress);
    }
  };
}
