import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type RunReport, renderPage } from '@holdfast/report';
import { killedRedis, sampleRun, sampleTest } from './sample.ts';

/** The elements and attributes of a page, without their contents. */
function skeleton(page: string): string[] {
  return [...page.matchAll(/<[^>]*>/g)].map(([tag]) => tag.replaceAll(/"[^"]*"/g, '""'));
}

function runSaying(text: string): RunReport {
  return sampleRun({
    stage: 'local',
    scenarios: [
      {
        ...killedRedis,
        family: text,
        scenario: text,
        fault: text,
        note: text,
        timeline: [{ atMs: 0, event: text }],
      },
    ],
    tests: [sampleTest({ file: text, name: text, project: text, status: 'failed', failure: text })],
  });
}

test('no text of a run can add an element or an attribute to the page', () => {
  const harmless = skeleton(renderPage(runSaying('x')));
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.constantFrom(
      '</script><script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      "' onmouseover='alert(1)",
      '</pre></style><svg/onload=alert(1)>',
      '<!--',
      ']]>',
      '&lt;b&gt;',
    ),
  );
  fc.assert(
    fc.property(
      hostile.filter((text) => !text.includes('\n')),
      (text) => {
        expect(skeleton(renderPage(runSaying(text)))).toEqual(harmless);
      },
    ),
    { seed: 3 },
  );
});

test('text is shown as it was recorded', () => {
  expect(renderPage(runSaying('a < b & "c"'))).toContain('a &lt; b &amp; &quot;c&quot;');
});

test('the page loads nothing', () => {
  const page = renderPage(runSaying('x'));
  expect(page).not.toMatch(/\b(?:src|href)=|url\(|@import|fetch\(/);
  expect(page).toContain("default-src 'none'");
});

test('a scenario shows its measures, its note and its timeline', () => {
  const page = renderPage(sampleRun({ scenarios: [killedRedis] }));
  for (const shown of ['12 ms', '3.4 s', '4210', 'appendonly everysec', 'the queue spills']) {
    expect(page).toContain(shown);
  }
  expect(page.match(/<circle /g)).toHaveLength(6);
  expect(page).toContain('class="outage"');
});

test('a run without scenarios has no empty table', () => {
  expect(renderPage(sampleRun())).not.toContain('<table');
});

test('an interrupted run and lost records are reported at the top', () => {
  const page = renderPage(sampleRun({ interrupted: true, unreadableRecords: 2 }));
  expect(page).toContain('stopped before its end');
  expect(page).toContain('2 scenario records could not be read');
});

test('a thousand tests, sixty scenarios and fifty long failures fit into 300 KB within a second', () => {
  const tests = Array.from({ length: 1_000 }, (_, index) =>
    sampleTest({
      file: `packages/suites/test/family-${index % 40}/fault-${index % 40}.test.ts`,
      name: `${index}: a job accepted during the outage is delivered exactly once after it`,
      ...(index % 20 === 0 ? { status: 'failed', failure: 'Expected: 1\n'.repeat(1_500) } : {}),
    }),
  );
  const scenarios = Array.from({ length: 60 }, () => killedRedis);
  const startedAt = performance.now();
  const page = renderPage(sampleRun({ tests, scenarios }));
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  expect(Buffer.byteLength(page)).toBeLessThanOrEqual(300_000);
});

test('the title does not state that all tests passed when a scenario lost, duplicated or reordered work', () => {
  const titleOf = (fields: Partial<RunReport>): string =>
    /<title>(.*) · Holdfast<\/title>/.exec(renderPage(sampleRun(fields)))?.[1] ?? '';
  expect(titleOf({ scenarios: [killedRedis] })).toBe('all passed');
  const lossy = { ...killedRedis, lost: 3, duplicated: 2 };
  expect(titleOf({ scenarios: [lossy] })).toBe('3 lost, 2 duplicated');
  expect(titleOf({ scenarios: [{ ...killedRedis, outOfOrder: 1 }] })).toBe('1 out of order');
  const tests = [sampleTest({ status: 'failed', failure: 'no' })];
  expect(titleOf({ scenarios: [lossy], tests, interrupted: true })).toBe(
    'interrupted, 1 failed, 3 lost, 2 duplicated',
  );
  expect(renderPage(sampleRun({ scenarios: [lossy] }))).toContain('<b>3</b> lost');
});
