import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { renderJunit } from '@holdfast/report';
import { type Element, parseXml } from '../parse-xml.ts';
import { killedRedis, sampleRun, sampleTest } from '../sample.ts';

function casesOf(suite: Element | undefined): Element[] {
  return (suite?.children ?? []).filter(({ name }) => name === 'testcase');
}

test('suites are files, and the counts agree with the cases', () => {
  const tests = [
    sampleTest({ project: 'unit', durationMs: 1_500 }),
    sampleTest({ project: 'unit', status: 'skipped', durationMs: 0 }),
    sampleTest({ file: 'b.test.ts', status: 'failed', failure: 'Error: no\n  at b' }),
  ];
  const root = parseXml(renderJunit(sampleRun({ tests })));
  expect(root).toMatchObject({
    name: 'testsuites',
    attributes: { tests: '3', failures: '1', skipped: '1', time: '94.000' },
  });
  const [first, second] = root.children;
  expect(first?.attributes).toMatchObject({
    tests: '2',
    failures: '0',
    skipped: '1',
    time: '1.500',
  });
  expect(casesOf(first).map(({ children }) => children.map(({ name }) => name))).toEqual([
    [],
    ['skipped'],
  ]);
  expect(casesOf(second)[0]?.children[0]).toMatchObject({
    name: 'failure',
    attributes: { message: 'Error: no' },
    text: 'Error: no\n  at b',
  });
});

test('the name of all suites states what was lost, and a run that was stopped is an error', () => {
  const scenarios = [{ ...killedRedis, lost: 3 }];
  expect(parseXml(renderJunit(sampleRun({ scenarios }))).attributes['name']).toBe(
    'holdfast: 3 lost',
  );
  const root = parseXml(renderJunit(sampleRun({ interrupted: true })));
  expect(root.attributes).toMatchObject({ name: 'holdfast: interrupted', tests: '2', errors: '1' });
  expect(root.children.at(-1)?.children[0]?.children[0]).toMatchObject({
    name: 'error',
    attributes: { message: 'the run was stopped before its end' },
  });
});

test('any text in a name or a failure keeps the document well-formed and is read back unchanged', () => {
  const anyText = fc.string({ unit: 'binary', maxLength: 40 });
  fc.assert(
    fc.property(anyText, anyText, anyText, (file, name, failure) => {
      const tests = [sampleTest({ file, name, status: 'failed', failure })];
      const root = parseXml(renderJunit(sampleRun({ tests })));
      const [testcase] = casesOf(root.children[0]);
      expect(testcase?.attributes['name']).toBe(asXmlCarriesIt(name));
      expect(testcase?.children[0]?.text).toBe(asXmlCarriesIt(failure));
    }),
    { seed: 11 },
  );
});

/** XML cannot represent a control character; it is replaced by the replacement character. */
function asXmlCarriesIt(text: string): string {
  return text.replaceAll(
    /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu,
    '\u{FFFD}',
  );
}

test('a case has file, line, the reason of a skip, a retry, and its scenario as properties', () => {
  const tests = [
    sampleTest({ name: `redis ${killedRedis.scenario}`, line: 12, attempts: 2 }),
    sampleTest({ status: 'skipped', skipReason: 'no chromium' }),
    sampleTest({
      name: 'broken',
      status: 'failed',
      failure: 'no',
      codeFrame: '> 3 |',
      replay: 'again',
    }),
  ];
  const environment = { os: 'Linux', cpu: 'x', memoryBytes: 1, commit: 'abc', versions: {} };
  const run = sampleRun({ tests, scenarios: [killedRedis], environment });
  const [suite] = parseXml(renderJunit(run)).children;
  const [properties, retried, skipped, broken] = suite?.children ?? [];
  const valuesOf = (element: typeof suite): Record<string, string | undefined> =>
    Object.fromEntries(
      (element?.children ?? []).map(({ attributes }) => [attributes['name'], attributes['value']]),
    );
  expect(valuesOf(properties)).toMatchObject({ os: 'Linux', commit: 'abc', node: run.node });
  expect(retried?.attributes).toMatchObject({ file: tests[0]?.file, line: '12' });
  expect(valuesOf(retried?.children[0])).toMatchObject({
    family: 'redis-failover',
    server: 'Redis',
    kind: 'killed',
    outcome: 'recovered',
    seed: '42',
    lost: '0',
  });
  expect(retried?.children[1]).toMatchObject({ name: 'flakyFailure' });
  expect(skipped?.children[0]).toMatchObject({
    name: 'skipped',
    attributes: { message: 'no chromium' },
  });
  expect(valuesOf(broken?.children[0])).toEqual({ replay: 'again' });
  expect(broken?.children[1]?.text).toBe('no\n\n> 3 |');
});
