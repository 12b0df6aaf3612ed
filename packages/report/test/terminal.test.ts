import { stripVTControlCharacters } from 'node:util';
import { expect, test } from '@jest/globals';
import { renderScenarios, renderTotals } from '@holdfast/report';
import { formatDuration } from '../src/duration.ts';
import { displayWidth } from '../src/render/width.ts';
import { killedRedis, sampleRun } from './sample.ts';

const plain = { columns: Infinity, color: false };
const run = sampleRun({
  scenarios: [
    killedRedis,
    { ...killedRedis, scenario: '接続が切れた', fault: '切断', lost: 77, duplicated: undefined },
  ],
});

test('every column of the table is aligned in all lines', () => {
  const [header = '', ...rows] = renderScenarios(run, plain);
  expect(header).toMatch(/^Scenario +Fault +Detected +Recovered +Accepted .* Lost +By server/);
  const endOf = (line: string, piece: string): number =>
    displayWidth(line.slice(0, line.indexOf(piece) + piece.length));
  expect(rows).toHaveLength(2);
  expect(endOf(rows[0] ?? '', '3.4 s')).toBe(endOf(header, 'Recovered'));
  expect(endOf(rows[1] ?? '', '3.4 s')).toBe(endOf(header, 'Recovered'));
  expect(endOf(rows[1] ?? '', ' 77')).toBe(endOf(header, ' Lost'));
});

test('a measure that no scenario has gets no column, and one that a scenario lacks is a dash', () => {
  const lines = renderScenarios(run, plain);
  expect(lines[0]).not.toContain('Unordered');
  expect(lines[2]).toContain('–');
});

const many = Array.from({ length: 60 }, (_, index) => ({
  ...killedRedis,
  family: index < 40 ? 'redis-failover' : 'database-recovery',
  scenario: `${'a name of some length '.repeat(8)}${index}`,
  lost: index === 0 ? 3 : 0,
}));

test.each([40, 80, 200])(
  'on %d columns no line is wider than the screen, and nothing is cut',
  (columns) => {
    for (const scenarios of [run.scenarios, many.slice(0, 20), many]) {
      const lines = renderScenarios(sampleRun({ scenarios }), { columns, color: false });
      expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(columns);
      const words = lines.join(' ').replaceAll(/ +/g, ' ');
      expect(words).toContain(`${scenarios[0]?.family}: ${scenarios[0]?.scenario}`);
      expect(words).toContain(scenarios[0]?.fault);
      expect(words).toMatch(/lost|Lost/);
    }
  },
);

test('a long run is a line for each family and the worst scenarios, and says where the others are', () => {
  const lines = renderScenarios(sampleRun({ scenarios: many }), { columns: 120, color: false });
  expect(lines.slice(0, 4)).toEqual([
    'redis-failover: 40 scenarios, 168400 accepted, 3 lost, recovered within 3.4 s',
    'database-recovery: 20 scenarios, 84200 accepted, 0 lost, recovered within 3.4 s',
    '',
    'the worst of them; the other 50 are in the report:',
  ]);
  expect(lines.filter((line) => line.includes('kill -9'))).toHaveLength(10);
});

test.each([Infinity, 80])('colors change no letter on %d columns', (columns) => {
  const colored = renderScenarios(run, { columns, color: true });
  expect(colored.join('\n')).toContain('\u001B[31m');
  expect(colored.map((line) => stripVTControlCharacters(line).trimEnd())).toEqual(
    renderScenarios(run, { columns, color: false }),
  );
});

test('foreign text cannot break the line or move the cursor', () => {
  const hostile = { ...killedRedis, scenario: 'a\nb\r\u001B[2Jc\u2028d\u0007' };
  const [, row] = renderScenarios(sampleRun({ scenarios: [hostile] }), plain);
  expect(row).toMatch(/^redis-failover: a b c d /);
});

test('without a scenario there is no table', () => {
  expect(renderScenarios(sampleRun(), plain)).toEqual([]);
});

test('the totals report lost, duplicated and reordered work, without losses that the server may have', () => {
  const totals = { passed: 12, failed: 0, skipped: 0 };
  expect(renderTotals(totals, [killedRedis])).toBe('12 passed, 0 failed');
  const harmed = { ...killedRedis, lost: 3, duplicated: 2, outOfOrder: 1 };
  expect(renderTotals(totals, [harmed, { ...killedRedis, lost: 1 }])).toBe(
    '12 passed, 0 failed, 4 lost, 2 duplicated, 1 out of order',
  );
});

test('the totals are one plain line', () => {
  expect(renderTotals({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed');
  expect(renderTotals({ passed: 12, failed: 1, skipped: 3 })).toBe(
    '12 passed, 1 failed, 3 skipped',
  );
});

test.each([
  [0, '0 ms'],
  [412.4, '412 ms'],
  [999.6, '1.0 s'],
  [3_249, '3.2 s'],
  [59_960, '1 min'],
  [125_000, '2 min 5 s'],
  [-800, '-800 ms'],
])('%d ms is formatted as %s', (durationMs, printed) => {
  expect(formatDuration(durationMs)).toBe(printed);
});
