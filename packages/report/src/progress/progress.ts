import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative, sep } from 'node:path';
import { type Clock, type Timer, environment } from '@holdfast/foundation';
import { formatDuration } from '../duration.ts';
import type { ScenarioRecord } from '../report.ts';
import { parseScenario } from '../scenario.ts';
import { type Durations, readDurations, timeToGo, writeDurations } from './durations.ts';
import { type LiveTest, renderBegin, renderEnd, renderScenario } from './lines.ts';
import { plannedTestFiles } from './plan.ts';
import { type Output, Screen } from './screen.ts';
import { SERVERS_VARIABLE, ServerBoard } from './servers.ts';
import { FolderTail } from './tail.ts';

/** The file of durations beside the report. */
const DURATIONS_FILE = 'durations.json';
const POLL_MS = 250;
const BAR_CELLS = 20;

interface ProgressOptions {
  readonly output: Output;
  readonly clock: Clock;
  readonly rootDirectory: string;
  /** The folder of the report. */
  readonly directory: string;
  /** The folder of the run's records. */
  readonly records: string;
}

/** What is printed of a test file that has ended. */
interface EndedFile {
  readonly skipped: number;
  /** The failures as Jest renders them. */
  readonly failure: string | undefined;
  readonly console: readonly { readonly type: string; readonly message: string }[];
}

interface TestUnderWay extends LiveTest {
  readonly path: string;
}

/**
 * Shows a run while it runs: a line when a test begins and one when it ends, with what its scenarios lost and how soon
 * they recovered; on a terminal also a bar with the time to go.
 */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #screen: Screen;
  readonly #scenarios: FolderTail;
  readonly #serversDirectory = mkdtempSync(join(tmpdir(), 'holdfast-progress-'));
  readonly #servers = new FolderTail(this.#serversDirectory);
  readonly #board = new ServerBoard();
  readonly #known: Durations;
  readonly #ran = new Map<string, number>();
  readonly #files = new Map<string, number>();
  readonly #tests: TestUnderWay[] = [];
  /** Recorded, and not yet on the line of a test. */
  #scenariosLeft: ScenarioRecord[] = [];
  readonly #ended = new Set<string>();
  #total = 0;
  #workers = 1;
  #count = 0;
  #timer: Timer | undefined;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#screen = new Screen(options.output, environment);
    this.#scenarios = new FolderTail(options.records);
    this.#known = readDurations(join(options.directory, DURATIONS_FILE));
    environment[SERVERS_VARIABLE] = this.#serversDirectory;
  }

  runStarts(files: number): void {
    this.#total = files;
    this.#screen.clear();
    const toGo = this.#timeToGo();
    const length = toGo === undefined ? '' : `, about ${formatDuration(toGo)} by the last runs`;
    this.#screen.line(`${files} test ${files === 1 ? 'file' : 'files'}${length}`);
    this.#poll();
  }

  fileStarts(path: string): void {
    this.#files.set(path, this.#options.clock.now());
    this.#workers = Math.max(this.#workers, this.#files.size);
    this.#update();
  }

  testStarts(path: string, name: string): void {
    this.#update();
    const test = { number: ++this.#count, family: familyOf(path), name, path };
    this.#tests.push(test);
    this.#screen.line(renderBegin(test));
  }

  testEnds(path: string, name: string, status: string, durationMs: number): void {
    this.#update();
    const at = this.#tests.findIndex((test) => test.path === path && test.name === name);
    const [test] = at === -1 ? [] : this.#tests.splice(at, 1);
    // A skipped test has not begun.
    if (test === undefined) return;
    const outcome = status === 'failed' ? 'failed' : 'passed';
    this.#screen.line(renderEnd(test, outcome, durationMs, this.#takeScenarios(test)));
  }

  fileEnds(path: string, { skipped, failure, console }: EndedFile): void {
    this.#update();
    this.#ended.add(path);
    const sinceMs = this.#files.get(path);
    this.#files.delete(path);
    const name = relative(this.#options.rootDirectory, path).split(sep).join('/');
    if (sinceMs !== undefined && failure === undefined) {
      this.#ran.set(name, Math.round(this.#options.clock.now() - sinceMs));
    }
    // The tests of a file that was ended amid them.
    for (const test of this.#tests.filter((each) => each.path === path)) {
      this.#tests.splice(this.#tests.indexOf(test), 1);
    }
    const families = new Set([...this.#files.keys()].map(familyOf));
    this.#showScenarios(({ family }) => !families.has(family));
    if (skipped > 0) this.#screen.line(`skipped ${skipped} in ${name}`);
    for (const { type, message } of console) {
      this.#screen.paragraph([`console.${type} in ${name}:`, ...message.split('\n')]);
    }
    if (failure !== undefined) {
      this.#screen.paragraph([`FAILED ${name}`, ...failure.trimEnd().split('\n'), '']);
    }
    this.#drawBar();
  }

  /** Removes the bar and keeps the durations for the next run. */
  end(): void {
    this.#update();
    this.#showScenarios(() => true);
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#screen.bar('');
    delete environment[SERVERS_VARIABLE];
    rmSync(this.#serversDirectory, { recursive: true, force: true });
    try {
      writeDurations(join(this.#options.directory, DURATIONS_FILE), this.#ran);
    } catch {
      // The next run has no time to go; the reporter says itself when the folder cannot be written to.
    }
  }

  #poll(): void {
    this.#update();
    this.#timer = this.#options.clock.schedule(POLL_MS, () => this.#poll(), {
      holdsProcess: false,
    });
  }

  #update(): void {
    for (const { file, line } of this.#servers.next()) {
      const server = this.#board.note(file, line);
      if (server !== undefined) this.#screen.line(`${server} stands`);
    }
    for (const { line } of this.#scenarios.next()) this.#noteScenario(line);
    this.#drawBar();
  }

  #noteScenario(line: string): void {
    try {
      this.#scenariosLeft.push(parseScenario('progress', JSON.parse(line)));
    } catch {
      // The report counts it as unreadable.
    }
  }

  /**
   * The scenarios of a test that ends: those of its name and family; without other files under way all that are left.
   * A test of another process may have recorded one before the news of its start came.
   */
  #takeScenarios({ name, family }: TestUnderWay): ScenarioRecord[] {
    const isOfTest = (scenario: ScenarioRecord): boolean =>
      this.#workers === 1 || (name.includes(scenario.scenario) && family === scenario.family);
    const taken = this.#scenariosLeft.filter(isOfTest);
    this.#scenariosLeft = this.#scenariosLeft.filter((scenario) => !isOfTest(scenario));
    return taken;
  }

  /** Gives scenarios that no test is named after lines of their own. */
  #showScenarios(isDue: (scenario: ScenarioRecord) => boolean): void {
    const due = this.#scenariosLeft.filter(isDue);
    this.#scenariosLeft = this.#scenariosLeft.filter((scenario) => !isDue(scenario));
    for (const scenario of due) this.#screen.line(renderScenario(scenario));
  }

  #timeToGo(): number | undefined {
    const { clock, rootDirectory } = this.#options;
    const nameOf = (path: string): string => relative(rootDirectory, path).split(sep).join('/');
    const underWay = [...this.#files].map(([path, sinceMs]) => ({ path: nameOf(path), sinceMs }));
    return timeToGo({
      known: this.#known,
      waiting: plannedTestFiles()
        .filter((path) => !this.#ended.has(path) && !this.#files.has(path))
        .map(nameOf),
      underWay,
      workers: this.#workers,
      nowMs: clock.now(),
    });
  }

  #drawBar(): void {
    if (!this.#screen.isLive || this.#timer === undefined) return;
    const share = this.#total === 0 ? 0 : this.#ended.size / this.#total;
    const full = Math.round(share * BAR_CELLS);
    const toGo = this.#timeToGo();
    const pieces = [
      `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)} ${this.#ended.size} of ${this.#total} files`,
      ...(toGo === undefined || toGo === 0 ? [] : [`${wholeSeconds(toGo)} to go`]),
      this.#board.describe(),
    ];
    this.#screen.bar(pieces.filter((piece) => piece !== '').join(', '));
  }
}

/** So that the bar does not flicker. */
function wholeSeconds(durationMs: number): string {
  const seconds = Math.ceil(durationMs / 1_000);
  return seconds < 60 ? `${seconds} s` : formatDuration(seconds * 1_000);
}

/** The folder below `test` that a file is in, else the file's name without its endings. */
function familyOf(path: string): string {
  const [folder = ''] = path.split(`${sep}test${sep}`).at(-1)?.split(sep) ?? [];
  return (folder === '' ? basename(path) : folder).replace(/\..*$/u, '');
}
