import type { RunReport, ScenarioRecord, TestRecord } from './report.ts';

/**
 * What became of a scenario, worst first: work was lost; another promise was broken or its test failed; it
 * recovered within a measured time; the fault was detected; nothing was broken and nothing measured.
 */
export type ScenarioResult = 'lost' | 'failed' | 'recovered' | 'detected' | 'passed';

/** The outcomes, worst first. */
export const outcomes: readonly ScenarioResult[] = [
  'lost',
  'failed',
  'recovered',
  'detected',
  'passed',
];

/** Reads the outcomes of a run's scenarios. A scenario belongs to the test whose name ends with its own. */
export function outcomeReader({
  tests,
}: Pick<RunReport, 'tests'>): (scenario: ScenarioRecord) => ScenarioResult {
  const failed = failedNames(tests);
  return (scenario) => outcomeOf(scenario, failed.has(scenario.scenario));
}

/** The names of failed tests with all their endings, one of which is the name of a scenario. */
export function failedNames(tests: readonly TestRecord[]): ReadonlySet<string> {
  return new Set(
    tests.filter(({ status }) => status === 'failed').flatMap(({ name }) => endingsOf(name)),
  );
}

/** Finds the scenario that a test has recorded: the one whose name the test's name ends with. */
export function scenarioFinder(
  scenarios: readonly ScenarioRecord[],
): (test: Pick<TestRecord, 'name'>) => ScenarioRecord | undefined {
  const byName = new Map(scenarios.map((each) => [each.scenario, each]));
  return ({ name }) =>
    endingsOf(name)
      .map((ending) => byName.get(ending))
      .find((found) => found !== undefined);
}

/** A name without none, one or more of its first words, which may be those of a `describe`. */
export function endingsOf(name: string): string[] {
  const endings = [name];
  for (let at = name.indexOf(' '); at !== -1; at = name.indexOf(' ', at + 1)) {
    endings.push(name.slice(at + 1));
  }
  return endings;
}

function outcomeOf(scenario: ScenarioRecord, testFailed: boolean): ScenarioResult {
  const { lost = 0, duplicated = 0, outOfOrder = 0 } = scenario;
  if (lost > 0) return 'lost';
  if (testFailed || duplicated > 0 || outOfOrder > 0) return 'failed';
  if (scenario.recoveredAfterMs !== undefined) return 'recovered';
  return scenario.detectedAfterMs === undefined ? 'passed' : 'detected';
}

/** The row of the grid. */
export function serverOf({ server, fault, scenario, family }: ScenarioRecord): string {
  const texts = [fault, scenario, family];
  return server ?? firstMatch(products, texts) ?? firstMatch(servers, texts) ?? family;
}

/** The column of the grid. */
export function kindOf({ kind, fault, scenario }: ScenarioRecord): string {
  return kind ?? firstMatch(kinds, [fault, scenario]) ?? 'other';
}

/** In order: the first that matches is taken. Products, then words that several servers share. */
const products: readonly (readonly [string, RegExp])[] = [
  ['Redis', /\b(?:redis|valkey)\b/i],
  ['PgBouncer', /\bpgbouncer\b/i],
  ['Postgres', /\bpostgres\b/i],
  ['S3', /\b(?:s3|minio)\b/i],
  ['Supabase', /\bsupabase\b/i],
];

const servers: readonly (readonly [string, RegExp])[] = [
  ['PgBouncer', /\bpooler\b/i],
  ['Redis', /\bsentinels?\b/i],
  ['Postgres', /\b(?:database|primary|replica|standby|pool)\b/i],
  ['S3', /\b(?:bucket|storage)\b/i],
  ['DNS', /\b(?:dns|names?|resolver)\b/i],
  ['API', /\b(?:api|http|upstream|endpoint|catalog)\b/i],
  ['disk', /\b(?:disk|enospc|journal|file ?system)\b/i],
  ['process', /\b(?:process|worker|memory|cpu)\b/i],
];

const kinds: readonly (readonly [string, RegExp])[] = [
  ['storm', /\b(?:storm|random|seed(?:ed)?|chaos)\b/i],
  ['killed', /\b(?:kill(?:ed|s)?|sigkill|crash(?:ed|es)?|dies|died)\b/i],
  ['frozen', /\b(?:frozen|freez\w+|paus\w+|sigstop|hang(?:s|ing)?|silent|stall\w*)\b/i],
  ['failover', /\b(?:fail(?:s|ed)? ?over|promot\w+|new primary|switch\w*)\b/i],
  ['full', /\b(?:full|enospc|oom|fill\w*|out of (?:memory|space)|maxmemory|quota)\b/i],
  [
    'cut',
    /\b(?:cut|reset\w*|refus\w+|disconnect\w*|drop\w*|partition\w*|econn\w+|close[sd]?|gone|lost)\b/i,
  ],
  ['slow', /\b(?:slow\w*|latency|delay\w*|timeout|late|bandwidth)\b/i],
  ['restarted', /\b(?:restart\w*|stop(?:ped|s)?|shut ?down|sigterm|start(?:s|ed)? again)\b/i],
  [
    'errors',
    /\b(?:errors?|5\d\d|4\d\d|answers?|denied|rejects?|readonly|noauth|loading|misconf)\b/i,
  ],
  ['damaged', /\b(?:damag\w+|corrupt\w+|truncat\w+|torn|bit)\b/i],
];

function firstMatch(
  names: readonly (readonly [string, RegExp])[],
  texts: readonly string[],
): string | undefined {
  for (const text of texts) {
    const found = names.find(([, pattern]) => pattern.test(text));
    if (found !== undefined) return found[0];
  }
  return undefined;
}

/** Whether a test passed only when it was run again. */
export function isFlaky({ status, attempts }: TestRecord): boolean {
  return status === 'passed' && attempts > 1;
}
