import { stripVTControlCharacters } from 'node:util';
import { expect, test } from '@jest/globals';
import {
  type RunReport,
  renderMarkdown,
  renderPage,
  renderScenarios,
  renderTotals,
} from '@holdfast/report';
import { renderBadge } from '../../src/render/badge.ts';
import { renderCtrf } from '../../src/render/ctrf.ts';
import { renderJunit } from '../../src/render/junit.ts';
import { killedRedis, sampleRun, sampleTest } from '../sample.ts';

/** Every form in which a run is shown. */
const forms: Readonly<Record<string, (run: RunReport) => string>> = {
  page: (run) => renderPage(run),
  junit: renderJunit,
  ctrf: renderCtrf,
  markdown: (run) => renderMarkdown(run),
  badge: renderBadge,
  terminal: (run) =>
    [
      ...renderScenarios(run, { columns: Infinity, color: false }),
      renderTotals(run.totals, run.scenarios),
    ].join('\n'),
};
const names = Object.keys(forms);
const rendered = (name: string, run: RunReport): string => forms[name]?.(run) ?? '';

test.each(names)('lost work is never under "all passed", although each test passed: %s', (name) => {
  const text = rendered(name, sampleRun({ scenarios: [{ ...killedRedis, lost: 3 }] }));
  expect(text).toContain('3 lost');
  expect(text).not.toContain('all passed');
  expect(text).not.toContain('brightgreen');
});

test('a reader that only counts the cases of JUnit or CTRF sees lost work as a failure, and once', () => {
  const lossy = { ...killedRedis, lost: 3 };
  const counted = (run: RunReport): unknown[] => [
    /<testsuites [^>]*failures="(\d+)" errors="(\d+)"/.exec(renderJunit(run))?.slice(1).map(Number),
    JSON.parse(renderCtrf(run)).results.summary.failed,
  ];
  expect(counted(sampleRun({ scenarios: [killedRedis] }))).toEqual([[0, 0], 0]);
  expect(counted(sampleRun({ scenarios: [lossy] }))).toEqual([[0, 1], 1]);
  const failed = sampleTest({ name: `redis ${lossy.scenario}`, status: 'failed', failure: 'lost' });
  expect(counted(sampleRun({ scenarios: [lossy], tests: [failed] }))).toEqual([[1, 0], 1]);
});

// The terminal says so in a line of its own, which the reporter prints.
test.each(names.filter((name) => name !== 'terminal'))(
  'an interrupted run is not shown as passed: %s',
  (name) => {
    const text = rendered(name, sampleRun({ interrupted: true }));
    expect(text).toMatch(/interrupted|stopped before its end/);
    expect(text).not.toContain('all passed');
  },
);

test.each(['markdown', 'page', 'ctrf', 'junit'])(
  'a failure comes with the command that replays it: %s',
  (name) => {
    const replay = "npx jest a.test.ts --testNamePattern 'it fails$'";
    const tests = [sampleTest({ name: 'it fails', status: 'failed', failure: 'no', replay })];
    const text = rendered(name, sampleRun({ tests }));
    expect(text.replaceAll('&#39;', "'")).toContain(replay);
    const scenarios = [{ ...killedRedis, scenario: 'it fails', replay: 'npx holdfast replay 42' }];
    expect(rendered(name, sampleRun({ tests, scenarios }))).toContain('npx holdfast replay 42');
  },
);

const HOSTILE = '</script><img src=x onerror=alert(1)>\u001B[31m`|*[x](javascript:1)';
const hostileRun = sampleRun({
  scenarios: [
    { ...killedRedis, family: HOSTILE, scenario: HOSTILE, fault: HOSTILE, replay: HOSTILE },
  ],
  tests: [
    sampleTest({
      file: HOSTILE,
      name: HOSTILE,
      status: 'failed',
      failure: HOSTILE,
      replay: HOSTILE,
    }),
  ],
});

test.each(names)('no text of a run moves the cursor of a terminal: %s', (name) => {
  const text = rendered(name, hostileRun);
  expect(stripVTControlCharacters(text)).toBe(text);
});

test('a hostile name adds no element to the page or to JUnit, and no image or link to Markdown', () => {
  expect(rendered('page', hostileRun)).not.toContain('<img');
  expect(rendered('junit', hostileRun)).not.toContain('<img');
  // Outside of blocks of code and of HTML, in which nothing is read as Markdown.
  const prose = rendered('markdown', hostileRun).replaceAll(
    /^(`{3,})[^]*?^\1$|^<details>.*$/gm,
    '',
  );
  expect(prose).toContain('img src');
  expect(prose).not.toMatch(/(?<!\\)<img|(?<!\\)\[x\]/);
});
