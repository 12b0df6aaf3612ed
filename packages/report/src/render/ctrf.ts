import { isFlaky, scenarioFinder } from '../outcome.ts';
import type { RunReport, TestRecord } from '../report.ts';
import { passedOver, renderTitle, violationsIn } from '../violations.ts';

/** The version of the specification that the document follows. */
const SPEC_VERSION = '0.0.0';

/**
 * Renders the run in the Common Test Report Format, which dashboards of others read. An interrupted run, and each
 * scenario that broke a promise although its test passed, is a failed test there.
 */
export function renderCtrf(run: RunReport): string {
  const start = Date.parse(run.startedAt);
  const errors = [
    ...(run.interrupted
      ? [{ name: 'the run ends', message: 'the run was stopped before its end' }]
      : []),
    ...passedOver(run),
  ].map(({ name, message }) => ({
    name,
    status: 'failed',
    duration: 0,
    suite: ['holdfast'],
    message,
  }));
  const scenarioOf = scenarioFinder(run.scenarios);
  const { passed, failed, skipped } = run.totals;
  const document = {
    reportFormat: 'CTRF',
    specVersion: SPEC_VERSION,
    timestamp: new Date(start + Math.round(run.durationMs)).toISOString(),
    generatedBy: '@holdfast/report',
    results: {
      tool: { name: 'jest' },
      summary: {
        tests: run.tests.length + errors.length,
        passed,
        failed: failed + errors.length,
        skipped,
        pending: 0,
        other: 0,
        flaky: run.tests.filter(isFlaky).length,
        suites: new Set(run.tests.map(({ file }) => file)).size,
        start,
        stop: start + Math.round(run.durationMs),
        duration: Math.round(run.durationMs),
        extra: { title: renderTitle(run), violations: violationsIn(run.scenarios) },
      },
      tests: [...run.tests.map((test) => testOf(test, scenarioOf(test)?.replay)), ...errors],
      environment: environmentOf(run),
      extra: { scenarios: run.scenarios.length, unreadableRecords: run.unreadableRecords },
    },
  };
  return `${JSON.stringify(document)}\n`;
}

function testOf(test: TestRecord, replay = test.replay): object {
  const { project, file, line, name, status, durationMs, attempts } = test;
  const [message] = (test.failure ?? '').split('\n', 1);
  const extra = {
    ...(replay === undefined || status !== 'failed' ? {} : { replay }),
    ...(test.skipReason === undefined ? {} : { skipReason: test.skipReason }),
  };
  return {
    name: name === '' ? '(no name)' : name,
    status,
    duration: Math.round(durationMs),
    suite: [...(project === undefined ? [] : [project]), file],
    filePath: file,
    ...(line === undefined ? {} : { line }),
    ...(test.failure === undefined ? {} : { message, trace: test.failure }),
    ...(test.codeFrame === undefined ? {} : { snippet: test.codeFrame }),
    ...(attempts > 1 ? { retries: attempts - 1, flaky: isFlaky(test) } : {}),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

function environmentOf({ environment, stage, node }: RunReport): object {
  return {
    ...(environment === undefined ? {} : { osPlatform: environment.os }),
    ...(environment?.commit === undefined ? {} : { commit: environment.commit }),
    ...(stage === undefined ? {} : { testEnvironment: stage }),
    extra: { node, cpu: environment?.cpu, versions: environment?.versions },
  };
}
