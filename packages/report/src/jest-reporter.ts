import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import {
  boolean,
  environment,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import { ReportNotWrittenError } from './errors.ts';
import {
  type JestFile,
  type JestRun,
  type JestTest,
  collectRecords,
  collectRun,
} from './collecting/collect.ts';
import { describeEnvironment } from './collecting/machine.ts';
import { DEFAULT_REPLAY } from './collecting/replay-command.ts';
import { historyEntryOf } from './history/entry.ts';
import { appendHistory, readHistory } from './history/history-file.ts';
import { renderBadge } from './render/badge.ts';
import { renderCtrf } from './render/ctrf.ts';
import { renderJunit } from './render/junit.ts';
import { Progress } from './progress/progress.ts';
import { widthOf } from './progress/screen.ts';
import { renderMarkdown } from './render/markdown.ts';
import { type PageHistory, renderPage } from './render/page/page.ts';
import { RECORDS_VARIABLE } from './record.ts';
import type { RunReport } from './report.ts';
import { renderScenarios, renderTotals } from './render/terminal.ts';

interface JestReporterOptions {
  /** The folder of the report, relative to Jest's root; created if missing. Default `reports`. */
  outputDirectory?: string;
  /** The file of the history, relative to Jest's root. Default `history.jsonl` in the folder of the report. */
  historyFile?: string;
  /** The command that runs a failed test again, with `{file}` and `{name}`. Default {@link DEFAULT_REPLAY}. */
  replay?: string;
  /**
   * Whether the standard output shows the run while it runs: each test that begins and ends, with its scenarios, and the
   * failures; on a terminal a bar with the time to go. For use without Jest's `default` reporter. Default false.
   */
  progress?: boolean;
}

/** What Jest passes of a test file. */
interface JestTestFile {
  path: string;
  context: { config: { displayName?: { name: string } } };
}

/** What Jest passes of the results of a test file, besides the tests. */
interface JestFileResult {
  numPendingTests: number;
  numTodoTests: number;
  failureMessage?: string | null | undefined;
  console?: readonly { type: string; message: string }[] | undefined;
}

/** The scenarios of the run, or the error of reading them. */
interface Gathered {
  records?: ReturnType<typeof collectRecords> | undefined;
  cause?: unknown;
}

const shape = {
  outputDirectory: string({ maxLength: 4_096, default: 'reports' }),
  historyFile: optional(string({ maxLength: 4_096 })),
  replay: string({ maxLength: 500, default: DEFAULT_REPLAY }),
  progress: boolean(false),
};
const RECORDS_PREFIX = 'records-';
const FORMS = {
  'index.html': renderPage,
  'junit.xml': renderJunit,
  'ctrf.json': renderCtrf,
  'summary.md': (run: RunReport) => renderMarkdown(run),
  'badge.json': renderBadge,
  'run.json': renderJson,
} as const;
const STOPS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Writes `index.html`, `junit.xml`, `ctrf.json`, `summary.md`, `badge.json` and `run.json`, appends the run to the
 * history, and prints the scenarios and the totals to the standard
 * output. When a signal ends the run, it does the same for the tests that had run, and marks the run as
 * interrupted. For Jest's configuration: `['@holdfast/report/jest', { outputDirectory }]`.
 */
export default class HoldfastReporter {
  readonly #directory: string;
  readonly #rootDirectory: string;
  readonly #records: string;
  readonly #historyFile: string;
  readonly #replay: string;
  readonly #showsProgress: boolean;
  #progress: Progress | undefined;
  /** Jest's results so far; Jest adds each file when it ends. */
  #seen: JestRun | undefined;
  /** The finished tests of unfinished files, by path. */
  readonly #underWay = new Map<string, JestFile>();
  readonly #stop = (signal: NodeJS.Signals): void => this.#onStop(signal);

  /** @throws InvalidOptionError */
  constructor(jest: { rootDir: string }, options?: JestReporterOptions) {
    const { outputDirectory, historyFile, replay, progress } = parseOptions(
      'HoldfastReporter',
      shape,
      options,
    );
    this.#showsProgress = progress;
    this.#rootDirectory = jest.rootDir;
    this.#directory = resolve(jest.rootDir, outputDirectory);
    this.#historyFile =
      historyFile === undefined
        ? join(this.#directory, 'history.jsonl')
        : resolve(jest.rootDir, historyFile);
    this.#replay = replay;
    this.#records = join(this.#directory, `${RECORDS_PREFIX}${process.pid}`);
  }

  /** Jest calls this before it starts a test process; the processes inherit the variable. */
  onRunStart(results: JestRun & { numTotalTestSuites: number }): void {
    mkdirSync(this.#directory, { recursive: true });
    // Removes the files of the previous run.
    for (const name of Object.keys(FORMS)) rmSync(join(this.#directory, name), { force: true });
    removeAbandonedRecords(this.#directory);
    rmSync(this.#records, { recursive: true, force: true });
    mkdirSync(this.#records);
    environment[RECORDS_VARIABLE] = this.#records;
    this.#seen = results;
    for (const signal of STOPS) process.on(signal, this.#stop);
    if (!this.#showsProgress) return;
    this.#progress = new Progress({
      output: process.stdout,
      clock: systemClock,
      rootDirectory: this.#rootDirectory,
      directory: this.#directory,
      records: this.#records,
    });
    this.#progress.runStarts(results.numTotalTestSuites);
  }

  onTestFileStart({ path, context }: JestTestFile): void {
    const { displayName } = context.config;
    this.#underWay.set(path, {
      testFilePath: path,
      ...(displayName === undefined ? {} : { displayName }),
      testResults: [],
    });
    this.#progress?.fileStarts(path);
  }

  onTestCaseStart({ path }: JestTestFile, { fullName }: { fullName: string }): void {
    this.#progress?.testStarts(path, fullName);
  }

  onTestCaseResult({ path }: JestTestFile, result: JestTest): void {
    this.#underWay.get(path)?.testResults.push(result);
    this.#progress?.testEnds(path, result.fullName, result.status, result.duration ?? 0);
  }

  onTestFileResult({ path }: JestTestFile, result: JestFileResult): void {
    this.#underWay.delete(path);
    this.#progress?.fileEnds(path, {
      skipped: result.numPendingTests + result.numTodoTests,
      failure: result.failureMessage ?? undefined,
      console: result.console ?? [],
    });
  }

  /** @throws ReportNotWrittenError after the result was printed */
  onRunComplete(_contexts: unknown, results: JestRun): void {
    this.#progress?.end();
    delete environment[RECORDS_VARIABLE];
    for (const signal of STOPS) process.off(signal, this.#stop);
    const { run, records, cause, failure } = this.#conclude(results);
    const isSound = failure === undefined && records !== undefined;
    const print = (): void => this.#print(run, failure === undefined);
    // Runs last, after Jest's own summary. If this throws, Jest ends without its summary and prints nothing more.
    if (isSound) process.once('exit', print);
    else print();
    if (failure !== undefined) throw failure;
    if (records === undefined) {
      throw new ReportNotWrittenError(
        `the scenarios in ${this.#records} could not be read; the report lacks all of them`,
        { cause },
      );
    }
  }

  /** Reports the tests that have run, then ends the process by the signal, as without a listener. */
  #onStop(signal: NodeJS.Signals): void {
    for (const each of STOPS) process.off(each, this.#stop);
    this.#progress?.end();
    if (this.#seen !== undefined) {
      const { run, failure } = this.#conclude({
        ...this.#seen,
        wasInterrupted: true,
        testResults: [...this.#seen.testResults, ...this.#underWay.values()],
      });
      this.#print(run, failure === undefined);
      if (failure !== undefined) process.stderr.write(`${failure.message}\n`);
    }
    process.kill(process.pid, signal);
  }

  #conclude(
    results: JestRun,
  ): Gathered & { run: RunReport; failure: ReportNotWrittenError | undefined } {
    const { records, cause } = this.#gather();
    const run = collectRun(results, {
      rootDirectory: this.#rootDirectory,
      endedAtMs: systemClock.epochMs(),
      scenarios: records?.scenarios ?? [],
      unreadableRecords: records?.unreadable ?? 0,
      environment: describeEnvironment(this.#rootDirectory, records?.scenarios ?? []),
      replay: this.#replay,
    });
    return { run, records, cause, failure: this.#write(run) };
  }

  #gather(): Gathered {
    try {
      return { records: collectRecords(this.#records) };
    } catch (error) {
      return { cause: error };
    }
  }

  #write(run: RunReport): ReportNotWrittenError | undefined {
    try {
      const history = this.#historyOf(run);
      for (const [name, render] of Object.entries(FORMS)) {
        writeFileSync(join(this.#directory, name), render(run, history));
      }
      appendHistory(this.#historyFile, history.now);
      rmSync(this.#records, { recursive: true, force: true });
      return undefined;
    } catch (error) {
      return new ReportNotWrittenError(
        `the report could not be written to ${this.#directory}; the result is printed above, the ` +
          `scenarios stay in ${this.#records}`,
        { cause: error },
      );
    }
  }

  #historyOf(run: RunReport): PageHistory {
    const report = relative(this.#rootDirectory, this.#directory).split(sep).join('/');
    const { entries } = readHistory(this.#historyFile);
    return { now: historyEntryOf(run, report), entries };
  }

  #print(run: RunReport, written: boolean): void {
    const { isTTY } = process.stdout;
    const table = renderScenarios(run, {
      columns: widthOf(process.stdout, environment['COLUMNS']),
      color: isTTY && environment['NO_COLOR'] === undefined,
    });
    const lines = [
      ...(table.length > 0 ? ['', ...table, ''] : []),
      ...(run.unreadableRecords > 0
        ? [`${run.unreadableRecords} scenario records could not be read`]
        : []),
      ...(run.interrupted ? ['the run was stopped before its end'] : []),
      ...(written ? [`report: ${relative('', join(this.#directory, 'index.html'))}`] : []),
      renderTotals(run.totals, run.scenarios),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}

function renderJson(run: RunReport): string {
  return `${JSON.stringify(run, null, 2)}\n`;
}

/** Removes the records of killed runs, but not those of a run that is still alive. */
function removeAbandonedRecords(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(RECORDS_PREFIX) || isAlive(Number(name.slice(RECORDS_PREFIX.length)))) {
      continue;
    }
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
