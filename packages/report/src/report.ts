/**
 * The results of a run, as data. A report has three guarantees: it contains every test of the run, a test that
 * could not be loaded counts as failed, and it contains no credentials. All output (terminal, HTML, JUnit, CTRF,
 * Markdown, badge, `run.json`) is made from this value.
 */
export interface RunReport {
  /** The version of the format. A `run.json` of version 1 has fewer fields and is still read. */
  readonly version: 2;
  /** The start of the run, ISO 8601 in UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** The version of Node that ran it. */
  readonly node: string;
  /** The stage of its scenarios; absent when none was recorded. */
  readonly stage?: StageName | 'mixed';
  /** The machine, the commit and the versions of servers and clients; absent in a report of version 1. */
  readonly environment?: RunEnvironment;
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

/** What the run ran on. */
export interface RunEnvironment {
  /** Such as `Linux 6.8.0 x64`. */
  readonly os: string;
  /** The model and the number of processors, such as `AMD EPYC 7763, 4 cores`. */
  readonly cpu: string;
  readonly memoryBytes: number;
  /** The first 12 digits of the commit; absent outside a repository. */
  readonly commit?: string;
  /** Versions of servers and clients by name, such as `redis: 8.2.1`. */
  readonly versions: Readonly<Record<string, string>>;
}

/** How many tests ended how. */
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
  /** The line of the test, or of its failure; counted from 1. Absent when neither is known. */
  readonly line?: number;
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped, as far as the test says so. */
  readonly skipReason?: string;
  readonly durationMs: number;
  /** The number of runs: above 1 after a retry. */
  readonly attempts: number;
  readonly failure?: string;
  /** The lines of source around the failure, with the failing one marked. */
  readonly codeFrame?: string;
  /** The command that runs this test again; present when it failed. */
  readonly replay?: string;
}

/** One fault of a real system, and the results of the accepted work. Times in milliseconds. */
export interface ScenarioRecord {
  /** The suite's folder, such as `redis-failover`. At most 100 characters. */
  family: string;
  /** The scenario, such as `killed for 3 s under load`. At most 300 characters. */
  scenario: string;
  /** The fault, such as `kill -9, restart after 3 s`. At most 300 characters. */
  fault: string;
  /**
   * The row of the grid, such as `Redis`. Default: the server that the fault, the scenario or the family names. At
   * most 40 characters.
   */
  server?: string | undefined;
  /** The column of the grid, such as `killed`. Default: the kind that the fault names. At most 40 characters. */
  kind?: string | undefined;
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
  /** The offered load over time. At most 600 samples. */
  load?: readonly LoadSample[] | undefined;
  /** What the servers printed, for a failure. At most 10 logs. */
  logs?: readonly ServerLog[] | undefined;
  /** What the seed decided, in order, for a failure. At most 500 decisions of 200 characters. */
  decisions?: readonly string[] | undefined;
  /** The one command that plays the scenario again. At most 500 characters. */
  replay?: string | undefined;
  /** The versions of its servers and clients, by name. At most 20. */
  versions?: Readonly<Record<string, string>> | undefined;
}

/** A change of state while a scenario ran, and when it was. */
export interface Moment {
  atMs: number;
  /** At most 200 characters. */
  event: string;
}

/** The load between the sample before and this one. */
export interface LoadSample {
  /** Relative to the fault. */
  atMs: number;
  offered: number;
  /** Offered work that was rejected or failed. */
  errors: number;
}

/** What one server printed during a scenario. */
export interface ServerLog {
  /** At most 40 characters. */
  server: string;
  /** What it printed; of a longer text the newest 20 000 characters are kept. */
  text: string;
}
