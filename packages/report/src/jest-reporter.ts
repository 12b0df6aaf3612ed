import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type {
  AggregatedResult,
  Reporter,
  Test,
  TestCaseResult,
  TestContext,
} from '@jest/reporters';
import { parseOptions, string, systemClock, environment } from '@holdfast/foundation';
import { ReportNotWrittenError } from './errors.ts';
import { type JestFile, type JestRun, collectRecords, collectRun } from './collect.ts';
import { renderPage } from './render/html.ts';
import { renderJunit } from './render/junit.ts';
import { RECORDS_VARIABLE } from './record.ts';
import type { RunReport } from './report.ts';
import { renderScenarios, renderTotals } from './render/terminal.ts';

interface JestReporterOptions {
  /** The folder of the report, relative to Jest's root; created if missing. Default `reports`. */
  outputDirectory?: string;
}

/** The scenarios of the run, or the error of reading them. */
interface Gathered {
  records?: ReturnType<typeof collectRecords> | undefined;
  cause?: unknown;
}

const shape = { outputDirectory: string({ maxLength: 4_096, default: 'reports' }) };
const RECORDS_PREFIX = 'records-';
const FORMS = {
  'index.html': renderPage,
  'junit.xml': renderJunit,
  'run.json': renderJson,
} as const;
const STOPS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Writes `index.html`, `junit.xml` and `run.json`, and prints the scenarios and the totals to the standard
 * output. When a signal ends the run, it does the same for the tests that had run, and marks the run as
 * interrupted. For Jest's configuration: `['@holdfast/report/jest', { outputDirectory }]`.
 */
export default class HoldfastReporter implements Reporter {
  readonly #directory: string;
  readonly #rootDirectory: string;
  readonly #records: string;
  /** Jest's results so far; Jest adds each file when it ends. */
  #seen: JestRun | undefined;
  /** The finished tests of unfinished files, by path. */
  readonly #underWay = new Map<string, JestFile>();
  readonly #stop = (signal: NodeJS.Signals): void => this.#onStop(signal);

  /** @throws InvalidOptionError */
  constructor(jest: { rootDir: string }, options?: JestReporterOptions) {
    const { outputDirectory } = parseOptions('HoldfastReporter', shape, options);
    this.#rootDirectory = jest.rootDir;
    this.#directory = resolve(jest.rootDir, outputDirectory);
    this.#records = join(this.#directory, `${RECORDS_PREFIX}${process.pid}`);
  }

  /** Jest calls this before it starts a test process; the processes inherit the variable. */
  onRunStart(results: AggregatedResult): void {
    mkdirSync(this.#directory, { recursive: true });
    // Removes the files of the previous run.
    for (const name of Object.keys(FORMS)) rmSync(join(this.#directory, name), { force: true });
    removeAbandonedRecords(this.#directory);
    rmSync(this.#records, { recursive: true, force: true });
    mkdirSync(this.#records);
    environment[RECORDS_VARIABLE] = this.#records;
    this.#seen = results;
    for (const signal of STOPS) process.on(signal, this.#stop);
  }

  onTestFileStart({ path, context }: Test): void {
    const { displayName } = context.config;
    this.#underWay.set(path, {
      testFilePath: path,
      ...(displayName === undefined ? {} : { displayName }),
      testResults: [],
    });
  }

  onTestCaseResult({ path }: Test, result: TestCaseResult): void {
    this.#underWay.get(path)?.testResults.push(result);
  }

  onTestFileResult({ path }: Test): void {
    this.#underWay.delete(path);
  }

  /** @throws ReportNotWrittenError after the result was printed */
  onRunComplete(_contexts: Set<TestContext>, results: AggregatedResult): void {
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
      for (const [name, render] of Object.entries(FORMS)) {
        writeFileSync(join(this.#directory, name), render(run));
      }
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

  #print(run: RunReport, written: boolean): void {
    const { isTTY, columns } = process.stdout;
    const table = renderScenarios(run, {
      columns: isTTY ? columns : Infinity,
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
