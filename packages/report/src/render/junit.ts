import { escapeMarkup } from './escape.ts';
import type { RunReport, TestRecord } from '../report.ts';
import { renderViolations } from '../violations.ts';

/** Renders the run as JUnit XML: one testsuite per file, times in seconds. */
export function renderJunit(run: RunReport): string {
  const files = Map.groupBy(run.tests, ({ project, file }) => `${project ?? ''} ${file}`.trim());
  const suites = [...files].map(([name, tests]) => {
    const attributes = `name="${escapeMarkup(name)}" ${counts(tests)} timestamp="${run.startedAt}"`;
    return `  <testsuite ${attributes}>\n${tests.map(testcase).join('')}  </testsuite>\n`;
  });
  if (run.interrupted) suites.push(stoppedSuite);
  const stopped = run.interrupted ? 1 : 0;
  const attributes = `name="${nameOf(run)}" ${counts(run.tests, run.durationMs, stopped)}`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${attributes}>\n${suites.join('')}</testsuites>\n`;
}

/** The counts cover only failed tests; the name carries losses and interruptions. */
function nameOf({ interrupted, scenarios }: RunReport): string {
  const pieces = [interrupted ? 'interrupted' : '', renderViolations(scenarios)];
  return ['holdfast', pieces.filter((piece) => piece !== '').join(', ')]
    .filter((piece) => piece !== '')
    .join(': ');
}

/** A reader that counts cases must not count an interrupted run as passed. */
const stoppedSuite = `  <testsuite name="holdfast" tests="1" failures="0" errors="1" skipped="0" time="0.000">
    <testcase classname="holdfast" name="the run ends" time="0.000"><error message="the run was stopped before its end"/></testcase>
  </testsuite>
`;

function counts(tests: readonly TestRecord[], durationMs?: number, errors = 0): string {
  const having = (status: TestRecord['status']): number =>
    tests.filter((test) => test.status === status).length;
  const elapsedMs = durationMs ?? tests.reduce((sum, test) => sum + test.durationMs, 0);
  return (
    `tests="${tests.length + errors}" failures="${having('failed')}" errors="${errors}" ` +
    `skipped="${having('skipped')}" time="${seconds(elapsedMs)}"`
  );
}

function testcase({ file, name, durationMs, status, failure }: TestRecord): string {
  const opening = `    <testcase classname="${escapeMarkup(file)}" name="${escapeMarkup(name)}" time="${seconds(durationMs)}"`;
  if (status === 'passed') return `${opening}/>\n`;
  if (status === 'skipped') return `${opening}><skipped/></testcase>\n`;
  const [first = ''] = (failure ?? '').split('\n', 1);
  const text = escapeMarkup(failure ?? '');
  return `${opening}><failure message="${escapeMarkup(first)}">${text}</failure></testcase>\n`;
}

function seconds(durationMs: number): string {
  return (durationMs / 1_000).toFixed(3);
}
