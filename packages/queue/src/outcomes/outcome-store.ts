/** What a store keeps of jobs besides the jobs: their outcomes and their progress. Both are bounded, and expire. */
export interface OutcomeStore {
  /** What is known of these jobs, in the same order. @throws BackendError */
  read(topic: string, ids: readonly string[]): Promise<OutcomeState[]>;
  /** Replaces the progress of a job. @param progress JSON. @throws BackendError */
  report(topic: string, id: string, progress: string, ttlMs: number): Promise<void>;
  /**
   * Calls `onNews` with the ids of jobs of which there may be more to read, or with `all` when it is not known of which;
   * until it is closed, and whatever the store goes through meanwhile.
   */
  watch(topic: string, onNews: (ids: readonly string[] | 'all') => void): OutcomeWatch;
}

/** What a store knows of one job. */
export interface OutcomeState {
  /** As `encodeOutcome` has written it. */
  readonly outcome?: string;
  /** JSON. */
  readonly progress?: string;
  /** It had an outcome, which has expired. */
  readonly isExpired: boolean;
}

/** Watches the outcomes of a topic until it is closed. */
export interface OutcomeWatch {
  close(): Promise<void>;
}

/** What is kept of a job when it ends, in the step that ends it. */
export interface KeptOutcome {
  readonly id: string;
  /** As `encodeOutcome` has written it. */
  readonly outcome: string;
  readonly ttlMs: number;
  /** Nothing is known of how the job ended: an outcome that is kept already stays. */
  readonly isUnknown: boolean;
}

/** How long an expired outcome is known to have been there, in times of its own life. */
export const REMEMBERED_FACTOR = 4;
