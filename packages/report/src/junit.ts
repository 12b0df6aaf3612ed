import { escapeMarkup } from './escape.ts';
import type { RunReport, TestRecord } from './report.ts';

/** The run as JUnit XML: one testsuite a file, times in seconds. */
export function renderJunit(run: RunReport): string {
  const files = Map.groupBy(run.tests, ({ project, file }) => `${project ?? ''} ${file}`.trim());
  const suites = [...files].map(([name, tests]) => {
    const attributes = `name="${escapeMarkup(name)}" ${counts(tests)} timestamp="${run.startedAt}"`;
    return `  <testsuite ${attributes}>\n${tests.map(testcase).join('')}  </testsuite>\n`;
  });
  const attributes = `name="holdfast" ${counts(run.tests, run.durationMs)}`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${attributes}>\n${suites.join('')}</testsuites>\n`;
}

function counts(tests: readonly TestRecord[], durationMs?: number): string {
  const having = (status: TestRecord['status']): number =>
    tests.filter((test) => test.status === status).length;
  const elapsedMs = durationMs ?? tests.reduce((sum, test) => sum + test.durationMs, 0);
  return (
    `tests="${tests.length}" failures="${having('failed')}" errors="0" ` +
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
