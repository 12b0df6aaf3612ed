import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  type RunReport,
  type ScenarioRecord,
  appendHistory,
  historyEntryOf,
} from '@holdfast/report';
import { runCli } from '../run-cli.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-report-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const recovered = (recoveredAfterMs: number): ScenarioRecord => ({
  family: 'redis-failover',
  scenario: 'killed',
  fault: 'kill -9',
  stage: 'local',
  recoveredAfterMs,
});

function runAt(hour: number, fields: Partial<RunReport> = {}): RunReport {
  return {
    version: 2,
    startedAt: new Date(Date.UTC(2026, 10, 1, hour)).toISOString(),
    durationMs: 60_000,
    node: 'v24.21.0',
    interrupted: false,
    totals: { passed: 1, failed: 0, skipped: 0 },
    scenarios: [recovered(1_000 + hour)],
    unreadableRecords: 0,
    tests: [{ file: 'a.test.ts', name: 'it holds', status: 'passed', durationMs: 1, attempts: 1 }],
    ...fields,
  };
}

/** Writes a report's folder; returns its path. */
function written(name: string, run: RunReport): string {
  const folder = join(directory, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'run.json'), JSON.stringify(run));
  writeFileSync(join(folder, 'index.html'), '<!doctype html>');
  return folder;
}

/** A history of runs that differ by noise alone, beside the folders of the reports. */
function writtenHistory(report: string, count = 10): string {
  const path = join(directory, 'history.jsonl');
  for (let hour = 0; hour < count; hour += 1)
    appendHistory(path, historyEntryOf(runAt(hour), report));
  return path;
}

const failing: Partial<RunReport> = {
  totals: { passed: 0, failed: 1, skipped: 0 },
  tests: [{ file: 'a.test.ts', name: 'it holds', status: 'failed', durationMs: 1, attempts: 1 }],
};

test('open prints the address of the page, given by its folder or by its file', async () => {
  const folder = written('a', runAt(1));
  const url = `${pathToFileURL(join(folder, 'index.html')).href}\n`;
  expect(await runCli(['report', 'open', folder])).toMatchObject({ exitCode: 0, stdout: url });
  const file = join(folder, 'index.html');
  expect(await runCli(['report', 'open', file])).toMatchObject({ exitCode: 0, stdout: url });
});

test('a report that is not there is answered with the way to one', async () => {
  const { exitCode, stderr } = await runCli(['report', 'open', join(directory, 'nothing')]);
  expect(exitCode).toBe(2);
  expect(stderr.replaceAll(/\s+/g, ' ')).toContain(
    "A run with the reporter '@holdfast/report/jest'",
  );
});

test('two runs: what fails now is a regression and the exit code 1, a slower time is neither', async () => {
  const before = written('a', runAt(1));
  const worse = written('b', runAt(2, failing));
  const slower = written('c', runAt(3, { scenarios: [recovered(9_000)] }));
  const compared = await runCli(['report', 'compare', before, worse]);
  expect(compared.exitCode).toBe(1);
  expect(compared.stdout).toContain('regression  a.test.ts: it holds: failed: passed before');
  const slow = await runCli(['report', 'compare', before, slower]);
  expect(slow.exitCode).toBe(0);
  expect(slow.stdout).toContain('suspect');
  expect(slow.stdout).toContain('0 regressions, 1 other changes');
});

test('a run within the noise of its history passes, one with lost work fails', async () => {
  const good = written('good', runAt(20));
  writtenHistory(good);
  const path = ['--history', join(directory, 'history.jsonl')];
  const report = (folder: string): string[] => ['report', 'compare', folder, ...path];
  // The name of the report is that of its folder, seen from the working directory.
  const lost = runAt(21, { scenarios: [{ ...recovered(1_010), lost: 2 }] });
  appendHistory(join(directory, 'history.jsonl'), historyEntryOf(runAt(20), good));
  appendHistory(join(directory, 'history.jsonl'), historyEntryOf(lost, good));
  const passed = await runCli(report(good));
  expect(passed).toMatchObject({ exitCode: 0 });
  expect(passed.stdout).toContain('0 regressions');
  const failed = await runCli(report(written('lossy', lost)));
  expect(failed.exitCode).toBe(1);
  expect(failed.stdout).toContain('lost: recovered before');
});

test('a damaged or later run.json is named, with exit code 2', async () => {
  const later = written('a', Object.assign(runAt(1), { version: 3 }));
  const { exitCode, stderr } = await runCli(['report', 'compare', later]);
  expect(exitCode).toBe(2);
  expect(stderr.replaceAll(/\s+/g, ' ')).toContain('a newer @holdfast/report reads this run');
});

test.each([10, 25, 40, 80, 200])(
  'history is never wider than the terminal: %d columns',
  async (columns) => {
    const path = writtenHistory('reports/a-report-with-a-long-name');
    appendHistory(path, historyEntryOf(runAt(12, { ...failing, interrupted: true }), 'b'));
    let stdout = '';
    const exitCode = (
      await runCli(['report', 'history', '--history', path], {
        stdout: { columns, write: (text) => (stdout += text) },
      })
    ).exitCode;
    expect(exitCode).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(columns);
    expect(lines).toHaveLength(12);
    expect(lines[0]).toContain('Failed'.slice(0, columns - 1));
    expect(lines[0]?.includes('Commit')).toBe(columns >= 80);
  },
);

test('history selects a report and the last runs, names flaky tests, and says when it is empty', async () => {
  const path = writtenHistory('a', 3);
  const [retried] = runAt(0).tests;
  appendHistory(path, historyEntryOf(runAt(9, { tests: [{ ...retried!, attempts: 2 }] }), 'b'));
  const options = ['report', 'history', '--history', path];
  const own = await runCli([...options, '--report', 'a', '--last', '2']);
  expect(own.stdout.trimEnd().split('\n')).toHaveLength(3);
  expect(own.stdout).not.toContain('flaky');
  expect((await runCli(options)).stdout).toContain('flaky: a.test.ts: it holds: 1 of 1 runs');
  const empty = await runCli(['report', 'history', '--history', join(directory, 'none')]);
  expect(empty).toMatchObject({ exitCode: 0 });
  expect(empty.stdout.replaceAll(/\s+/g, ' ')).toContain('No run is in');
});
