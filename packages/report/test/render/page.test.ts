import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type RunReport, renderPage } from '@holdfast/report';
import { entryAt } from '../history/sample-history.ts';
import { killedRedis, sampleRun, sampleTest } from '../sample.ts';

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
        server: text,
        kind: text,
        replay: text,
        decisions: [text],
        logs: [{ server: text, text }],
        timeline: [{ atMs: 0, event: text }],
        load: [{ atMs: 0, offered: 1, errors: 1 }],
      },
    ],
    tests: [
      sampleTest({
        file: text,
        name: text,
        project: text,
        status: 'failed',
        failure: text,
        codeFrame: text,
        replay: text,
      }),
    ],
    environment: { os: text, cpu: text, memoryBytes: 1, commit: text, versions: { [text]: text } },
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

test('the grid has a row for each server and a column for each kind of fault, with the worst outcome', () => {
  const scenarios = [
    killedRedis,
    { ...killedRedis, scenario: 'second', lost: 3 },
    { ...killedRedis, scenario: 'third', server: 'Postgres', kind: 'frozen' },
  ];
  const page = renderPage(sampleRun({ scenarios }));
  expect(page).toContain('aria-label="Redis, killed: ✕ 1 of 2 lost"');
  expect(page).toContain('aria-label="Postgres, frozen: ✓ 1 recovered"');
});

test('a scenario without a named server or kind is placed by the words of its fault', () => {
  const placed = (fault: string): string =>
    /aria-label="([^"]*): ✓ 1 recovered"/.exec(
      renderPage(sampleRun({ scenarios: [{ ...killedRedis, family: 'x', scenario: 'y', fault }] })),
    )?.[1] ?? '';
  expect(placed('Postgres is frozen by SIGSTOP')).toBe('Postgres, frozen');
  expect(placed('the disk of Redis is full')).toBe('Redis, full');
  expect(placed('S3 answers 503')).toBe('S3, errors');
  expect(placed('READONLY (REPLICAOF an absent primary)')).toBe('Postgres, errors');
  expect(placed('READONLY: Redis follows an absent primary')).toBe('Redis, errors');
  expect(placed('an earthquake')).toBe('x, other');
});

test('the timeline shades the fault and the recovery, and draws load and errors', () => {
  const load = [0, 100, 200].map((atMs) => ({ atMs, offered: 30, errors: atMs === 100 ? 5 : 0 }));
  const scenarios = [{ ...killedRedis, lastedMs: 3_000, recoveredAfterMs: 412, load }];
  const page = renderPage(sampleRun({ scenarios }));
  expect(page).toContain(
    'fault for 3.0 s, detected after 12 ms, recovered 412 ms after it, 90 offered, 5 errors',
  );
  for (const drawn of ['class="outage"', 'class="recovering"', 'class="load"']) {
    expect(page).toContain(drawn);
  }
  expect(page.match(/class="errors"/g)).toHaveLength(1);
});

test('a failure shows its source, its replay command, the decisions of the seed and the logs', () => {
  const scenarios = [
    {
      ...killedRedis,
      scenario: 'it fails',
      replay: 'npx holdfast replay 42',
      decisions: ['kill redis at 3 s', 'freeze postgres at 4 s'],
      logs: [{ server: 'redis', text: 'Out of memory' }],
    },
  ];
  const tests = [
    sampleTest({
      name: 'it fails',
      line: 7,
      status: 'failed',
      failure: 'no',
      codeFrame: '> 7 | it',
    }),
  ];
  const page = renderPage(sampleRun({ tests, scenarios }));
  const [card = ''] = /<article class="failure">.*?<\/article>/s.exec(page) ?? [];
  for (const shown of [
    'failover.test.ts:7',
    '&gt; 7 | it',
    'npx holdfast replay 42',
    'seed 42',
    'freeze postgres',
    'Log of redis',
    'Out of memory',
  ]) {
    expect(card).toContain(shown);
  }
});

test('the history shows regressions, flaky tests and the rule', () => {
  const earlier = Array.from({ length: 9 }, (_, index) =>
    entryAt(index, index === 4 ? { unsteady: { 'a.test.ts: shaky <b>': 'retried' } } : {}),
  );
  const now = entryAt(20, { unsteady: { 'a.test.ts: new': 'failed' } });
  const page = renderPage(sampleRun(), { now, entries: earlier });
  expect(page).toContain('<b class="bad">regression</b> a.test.ts: new: failed: passed before');
  expect(page).toContain('a.test.ts: shaky &lt;b&gt;: 1 of 10 runs (2 % to 40 %, 95 % confidence)');
  expect(page.match(/<rect class="fine"/g)).toHaveLength(10);
  expect(page).toContain('Iglewicz');
  expect(renderPage(sampleRun(), { now, entries: [] })).not.toContain('History');
});

test('ten thousand scenarios and tests fit into 2 MB, and those that lost work are among those shown', () => {
  const scenarios = Array.from({ length: 10_000 }, (_, index) => ({
    ...killedRedis,
    family: `family-${index % 20}`,
    scenario: `scenario ${index}`,
    ...(index === 9_999 ? { lost: 1 } : {}),
  }));
  const tests = scenarios.map(({ family, scenario }) =>
    sampleTest({ file: `${family}.test.ts`, name: scenario }),
  );
  const page = renderPage(sampleRun({ tests, scenarios }));
  expect(Buffer.byteLength(page)).toBeLessThanOrEqual(2_000_000);
  expect(page).toContain('scenario 9999');
  expect(page).toMatch(/\d+ more in run\.json/);
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
