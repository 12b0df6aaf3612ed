/**
 * The results of a run, as data. A report has three guarantees: it contains every test of the run, a test that
 * could not be loaded counts as failed, and it contains no credentials. All output (terminal, HTML, JUnit,
 * `run.json`) is made from this value.
 */
export interface RunReport {
  readonly version: 1;
  /** The start of the run, ISO 8601 in UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** The version of Node that ran it. */
  readonly node: string;
  /** The stage of its scenarios; absent when none was recorded. */
  readonly stage?: StageName | 'mixed';
  /** Whether the run was stopped before its end; missing tests did not run. */
  readonly interrupted: boolean;
  readonly totals: Totals;
  /** Worst first. */
  readonly scenarios: readonly ScenarioRecord[];
  /** Incomplete records, because their writer was killed or its disk was full. */
  readonly unreadableRecords: number;
  readonly tests: readonly TestRecord[];
}

/** How the servers of a scenario ran. */
export type StageName = 'local' | 'docker' | 'compose';

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** One test, or one test file that failed as a whole. */
export interface TestRecord {
  /** The Jest project's display name. */
  readonly project?: string;
  /** Relative to the run's root, with forward slashes. */
  readonly file: string;
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly durationMs: number;
  /** The number of runs: above 1 after a retry. */
  readonly attempts: number;
  readonly failure?: string;
}

/** One fault of a real system, and the results of the accepted work. Times in milliseconds. */
export interface ScenarioRecord {
  /** The suite's folder, such as `redis-failover`. At most 100 characters. */
  family: string;
  /** The scenario, such as `killed for 3 s under load`. At most 300 characters. */
  scenario: string;
  /** The fault, such as `kill -9, restart after 3 s`. At most 300 characters. */
  fault: string;
  stage: StageName;
  /** The seed of a random fault. */
  seed?: number | undefined;
  /** Time from the fault until the code under test detected it. */
  detectedAfterMs?: number | undefined;
  /** Time from the fault until it was removed and the server had recovered. */
  lastedMs?: number | undefined;
  /** Time from the removal of the fault to the first successful answer. */
  recoveredAfterMs?: number | undefined;
  /** The amount of work that the code under test accepted. */
  accepted?: number | undefined;
  delivered?: number | undefined;
  /** Accepted work that was never delivered, without `lostByServer`. */
  lost?: number | undefined;
  /** Accepted work that the server lost within its guarantees. */
  lostByServer?: number | undefined;
  duplicated?: number | undefined;
  outOfOrder?: number | undefined;
  /** One sentence for the reader of the page. At most 1 000 characters. */
  note?: string | undefined;
  /** Events with times relative to the fault (negative before it). At most 200 moments. */
  timeline?: readonly Moment[] | undefined;
}

export interface Moment {
  atMs: number;
  /** At most 200 characters. */
  event: string;
}
