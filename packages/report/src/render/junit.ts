import { escapeMarkup } from './escape.ts';
import {
  type ScenarioResult,
  kindOf,
  outcomeReader,
  scenarioFinder,
  serverOf,
} from '../outcome.ts';
import type { RunReport, ScenarioRecord, TestRecord } from '../report.ts';
import { passedOver, renderViolations } from '../violations.ts';

/**
 * Renders the run as JUnit XML: a testsuite a file, times in seconds, the scenario of a test as its properties. An
 * interrupted run, and each scenario that broke a promise although its test passed, is a case with an error.
 */
export function renderJunit(run: RunReport): string {
  const files = Map.groupBy(run.tests, ({ project, file }) => `${project ?? ''} ${file}`.trim());
  const outcomeOf = outcomeReader(run);
  const scenarioOf = scenarioFinder(run.scenarios);
  const suites = [...files].map(([name, tests]) => {
    const [first] = tests;
    const attributes = `name="${escapeMarkup(name)}" ${counts(tests)} timestamp="${run.startedAt.slice(0, 19)}" file="${escapeMarkup(first?.file ?? '')}"`;
    const cases = tests.map((test) => testcase(test, scenarioOf(test), outcomeOf));
    return `  <testsuite ${attributes}>\n${environmentOf(run)}${cases.join('')}  </testsuite>\n`;
  });
  const errors = errorsOf(run);
  if (errors.length > 0) suites.push(errorSuite(errors, run.startedAt));
  const attributes = `name="${nameOf(run)}" ${counts(run.tests, run.durationMs, errors.length)}`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${attributes}>\n${suites.join('')}</testsuites>\n`;
}

/** A reader that shows only names sees losses and interruptions too. */
function nameOf({ interrupted, scenarios }: RunReport): string {
  const pieces = [interrupted ? 'interrupted' : '', renderViolations(scenarios)];
  return ['holdfast', pieces.filter((piece) => piece !== '').join(', ')]
    .filter((piece) => piece !== '')
    .join(': ');
}

/** A reader that counts cases must not count an interrupted or lossy run as passed. */
function errorsOf(run: RunReport): { name: string; message: string }[] {
  return [
    ...(run.interrupted
      ? [{ name: 'the run ends', message: 'the run was stopped before its end' }]
      : []),
    ...passedOver(run),
  ];
}

function errorSuite(errors: readonly { name: string; message: string }[], at: string): string {
  const cases = errors.map(
    ({ name, message }) =>
      `    <testcase classname="holdfast" name="${escapeMarkup(name)}" time="0.000"><error message="${escapeMarkup(message)}" type="error"/></testcase>\n`,
  );
  const attributes = `tests="${errors.length}" failures="0" errors="${errors.length}" skipped="0" time="0.000"`;
  return `  <testsuite name="holdfast" ${attributes} timestamp="${at.slice(0, 19)}">\n${cases.join('')}  </testsuite>\n`;
}

function counts(tests: readonly TestRecord[], durationMs?: number, errors = 0): string {
  const having = (status: TestRecord['status']): number =>
    tests.filter((test) => test.status === status).length;
  const elapsedMs = durationMs ?? tests.reduce((sum, test) => sum + test.durationMs, 0);
  return (
    `tests="${tests.length + errors}" failures="${having('failed')}" errors="${errors}" ` +
    `skipped="${having('skipped')}" time="${seconds(elapsedMs)}"`
  );
}

function environmentOf({ node, stage, environment }: RunReport): string {
  return properties(
    {
      node,
      stage,
      os: environment?.os,
      cpu: environment?.cpu,
      commit: environment?.commit,
    },
    '    ',
  );
}

function testcase(
  test: TestRecord,
  scenario: ScenarioRecord | undefined,
  outcomeOf: (scenario: ScenarioRecord) => ScenarioResult,
): string {
  const { file, line, name, durationMs } = test;
  const replay = test.status === 'failed' ? (scenario?.replay ?? test.replay) : undefined;
  const place = `file="${escapeMarkup(file)}"${line === undefined ? '' : ` line="${line}"`}`;
  const opening = `    <testcase classname="${escapeMarkup(file)}" name="${escapeMarkup(name)}" time="${seconds(durationMs)}" ${place}`;
  const content =
    properties({ ...propertiesOf(scenario, outcomeOf), replay }, '      ') + resultOf(test);
  return content === '' ? `${opening}/>\n` : `${opening}>\n${content}    </testcase>\n`;
}

function propertiesOf(
  scenario: ScenarioRecord | undefined,
  outcomeOf: (scenario: ScenarioRecord) => ScenarioResult,
): Record<string, string | number | undefined> {
  if (scenario === undefined) return {};
  const { family, fault, seed, detectedAfterMs, recoveredAfterMs, accepted, delivered, lost } =
    scenario;
  const measured = { seed, detectedAfterMs, recoveredAfterMs, accepted, delivered, lost };
  const named = { family, server: serverOf(scenario), kind: kindOf(scenario), fault };
  return { ...named, outcome: outcomeOf(scenario), ...measured };
}

function properties(
  values: Readonly<Record<string, string | number | undefined>>,
  indent: string,
): string {
  const lines = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        `${indent}  <property name="${name}" value="${escapeMarkup(String(value))}"/>\n`,
    );
  return lines.length === 0
    ? ''
    : `${indent}<properties>\n${lines.join('')}${indent}</properties>\n`;
}

function resultOf({ status, failure, codeFrame, skipReason, attempts }: TestRecord): string {
  if (status === 'skipped') {
    const message = skipReason === undefined ? '' : ` message="${escapeMarkup(skipReason)}"`;
    return `      <skipped${message}/>\n`;
  }
  if (status === 'passed') {
    return attempts > 1
      ? `      <flakyFailure message="passed at attempt ${attempts}" type="retry"/>\n`
      : '';
  }
  const [first = ''] = (failure ?? '').split('\n', 1);
  const text = [failure ?? '', ...(codeFrame === undefined ? [] : [codeFrame])].join('\n\n');
  return `      <failure message="${escapeMarkup(first)}" type="failure">${escapeMarkup(text)}</failure>\n`;
}

function seconds(durationMs: number): string {
  return (durationMs / 1_000).toFixed(3);
}
