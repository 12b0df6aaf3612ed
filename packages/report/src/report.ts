/**
 * What a run showed, as data. A report promises three things: every test of the run is in it, one that
 * could not even be loaded counts as failed, and no credential stands in it. Everything a reader sees
 * (terminal, HTML, JUnit, `run.json`) is made from this one value.
 */
export interface RunReport {
  readonly version: 1;
  /** When the run began, ISO 8601 in UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** Version of the Node that ran it. */
  readonly node: string;
  /** Where its scenarios stood; absent when none was recorded. */
  readonly stage?: StageName | 'mixed';
  /** The run was stopped before its end: what is missing below did not run. */
  readonly interrupted: boolean;
  readonly totals: Totals;
  /** Worst first. */
  readonly scenarios: readonly ScenarioRecord[];
  /** Records that were begun but cannot be read, because their writer died or its disk was full. */
  readonly unreadableRecords: number;
  readonly tests: readonly TestRecord[];
}

/** What the servers of a scenario ran as. */
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
  /** How often it was run: above 1, it was tried again after a failure. */
  readonly attempts: number;
  readonly failure?: string;
}

/** One fault done to something real, and what became of the work in hand. Times in milliseconds. */
export interface ScenarioRecord {
  /** The suite's folder, such as `redis-failover`. At most 100 characters. */
  family: string;
  /** What went on, such as `killed for 3 s under load`. At most 300 characters. */
  scenario: string;
  /** What was done, such as `kill -9, restart after 3 s`. At most 300 characters. */
  fault: string;
  stage: StageName;
  /** What the fault's chance was drawn from. */
  seed?: number | undefined;
  /** From the fault to the first moment the code under test knew of it. */
  detectedAfterMs?: number | undefined;
  /** From the fault to the moment it was undone: the server is whole again. */
  lastedMs?: number | undefined;
  /** From the moment the fault was undone to the first good answer. */
  recoveredAfterMs?: number | undefined;
  /** How many pieces of work the code under test took on. */
  accepted?: number | undefined;
  delivered?: number | undefined;
  /** Accepted, never delivered, and ours to keep. */
  lost?: number | undefined;
  /** Accepted, and lost by the server within what it never promised to keep. */
  lostByServer?: number | undefined;
  duplicated?: number | undefined;
  outOfOrder?: number | undefined;
  /** One sentence for the reader of the page. At most 1 000 characters. */
  note?: string | undefined;
  /** What happened when, relative to the fault (before it: negative). At most 200 moments. */
  timeline?: readonly Moment[] | undefined;
}

export interface Moment {
  atMs: number;
  /** At most 200 characters. */
  event: string;
}
