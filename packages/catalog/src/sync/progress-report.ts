import { callSafely } from '@holdfast/foundation';
import type { SyncPhase, SyncProgress } from './catalog-sync.ts';

type ProgressListener = (progress: SyncProgress) => void;

/** Counts what a sync does, and tells those who want to know. */
export class ProgressReport {
  readonly #listeners = new Set<ProgressListener>();
  #progress: SyncProgress = {
    phase: 'locking',
    pages: 0,
    reusedPages: 0,
    rows: 0,
    expectedRows: undefined,
  };

  get progress(): SyncProgress {
    return this.#progress;
  }

  listen(listener: ProgressListener | undefined): void {
    if (listener !== undefined) this.#listeners.add(listener);
  }

  enter(phase: SyncPhase, expectedRows: number | undefined): void {
    const isFetch = phase === 'fetching';
    const { pages, reusedPages, rows } = this.#progress;
    const counts = isFetch ? { pages: 0, reusedPages: 0, rows: 0 } : { pages, reusedPages };
    this.#tell({ ...counts, phase, expectedRows, rows: phase === 'publishing' ? rows : 0 });
  }

  addPage(rows: number, isReused: boolean): void {
    const { progress } = this;
    this.#tell({
      ...progress,
      pages: progress.pages + 1,
      reusedPages: progress.reusedPages + (isReused ? 1 : 0),
      rows: progress.rows + rows,
    });
  }

  addRows(rows: number): void {
    this.#tell({ ...this.progress, rows: this.progress.rows + rows });
  }

  #tell(progress: SyncProgress): void {
    this.#progress = progress;
    for (const listener of this.#listeners) {
      callSafely('onProgress of a catalog sync', listener, progress);
    }
  }
}
