import { expect, test } from '@jest/globals';
import { fillTables } from '../../src/render/family-tables.ts';
import { killedRedis } from '../sample.ts';

const readme = (rows: string): string =>
  `before\n<!-- scenarios: redis-failover -->\n${rows}\n<!-- /scenarios -->\nafter\n`;

test('a table is replaced by the rows of its family, and the text around it is kept', () => {
  const filled = fillTables(readme('| an old row |'), [killedRedis]);
  expect(filled).toMatch(/^before\n<!-- scenarios: redis-failover -->\n\n\| Promise \|/);
  expect(filled).toContain(`| ${killedRedis.scenario} | ${killedRedis.fault} |`);
  expect(filled).toMatch(/\n<!-- \/scenarios -->\nafter\n$/);
  expect(filled).not.toContain('an old row');
  expect(fillTables(filled, [killedRedis])).toBe(filled);
});

test('a table whose family did not run is kept', () => {
  const other = { ...killedRedis, family: 'database-recovery' };
  expect(fillTables(readme('| a row |'), [other])).toBe(readme('| a row |'));
});
