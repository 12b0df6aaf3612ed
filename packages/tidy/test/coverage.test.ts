import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from '@jest/globals';
import { type ScriptCoverage, addCounts } from '../src/coverage/counts.ts';
import { coverageOf, percentOf, sumOf } from '../src/coverage/coverage.ts';
import { isBelow, renderTable } from '../src/coverage/table.ts';

/** Runs a source in processes of its own, one for each list of arguments, and counts what they ran. */
function countsOf(source: string, runs: readonly string[]): Float64Array {
  const folder = mkdtempSync(join(tmpdir(), 'hf-'));
  try {
    const path = join(folder, 'program.ts');
    writeFileSync(path, source);
    const counts = new Float64Array(source.length);
    for (const [index, argument] of runs.entries()) {
      const raw = join(folder, `v8-${index}`);
      const args = ['--disable-warning=ExperimentalWarning', path, argument];
      const env = { ...process.env, NODE_V8_COVERAGE: raw };
      expect(spawnSync(process.execPath, args, { env }).status).toBe(0);
      for (const file of readdirSync(raw)) {
        const written: { result: ScriptCoverage[] } = JSON.parse(
          readFileSync(join(raw, file), 'utf8'),
        );
        for (const script of written.result) {
          if (script.url === pathToFileURL(path).href) addCounts(counts, script);
        }
      }
    }
    return counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const program = `import { argv } from 'node:process';
interface Named {
  readonly name: string;
}
/* A comment
   of two lines. */
const choose = (given: string): Named | undefined => {
  if (given === 'a') {
    return { name: 'first' };
  }
  const isB = given === 'b' && argv.length > 0;
  return isB ? { name: 'second' } : undefined;
};
function neverCalled(): void {
  throw new Error('never');
}
export type Chosen = Named;
choose(argv[2] ?? '');
`;

test('lines, statements and branches that ran are counted over all processes; types and comments are not', () => {
  const one = coverageOf('program.ts', program, countsOf(program, ['a']));
  expect(one.missedLines).toEqual([11, 12, 15]);
  expect(one.lines).toEqual({ covered: 4, total: 7 });
  expect(one.statements).toEqual({ covered: 4, total: 7 });
  // Of the if its body alone; the rest of the function was not reached.
  expect(one.branches).toEqual({ covered: 2, total: 8 });
  const both = coverageOf('program.ts', program, countsOf(program, ['a', 'b']));
  expect(both.missedLines).toEqual([15]);
  // What is left: the alternative of the conditional, and the default.
  expect(both.branches).toEqual({ covered: 6, total: 8 });
});

test('a file that no test loads is missed as a whole, and one of types alone has nothing to cover', () => {
  const unloaded = coverageOf('program.ts', program, undefined);
  expect(unloaded.lines).toEqual({ covered: 0, total: 7 });
  const types = coverageOf('types.ts', 'export interface A { b: string }\n', undefined);
  expect([types.lines.total, percentOf(types.lines)]).toEqual([0, 100]);
});

test('a package is the sum of its files, in percent rounded down', () => {
  const file = (covered: number, total: number): Parameters<typeof sumOf>[0][number] => {
    const share = { covered, total };
    return { lines: share, statements: share, branches: share };
  };
  const sum = sumOf([file(899, 900), file(0, 100)]);
  expect(sum.lines).toEqual({ covered: 899, total: 1_000 });
  expect(percentOf({ covered: 8_999, total: 10_000 })).toBe(89.9);
  const below = { name: 'a', passed: true, coverage: sum };
  expect(isBelow(below)).toBe(true);
  expect(isBelow({ ...below, coverage: file(900, 1_000) })).toBe(false);
  const [, , row, failed] = renderTable([below, { ...below, passed: false }]);
  expect(row).toContain('below 90 %');
  expect(failed).toContain('a test failed');
});
