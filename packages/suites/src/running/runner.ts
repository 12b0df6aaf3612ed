/**
 * Runs test files side by side, each on stages of its own, and afterwards, one after the other, those that measure
 * time or the whole machine: they state `@alone` in the first comment of the file.
 *
 * Also a single file at a time runs in a process of its own, which `workerIdleMemoryLimit` ends: what a file has loaded
 * stays in its process, on Node 22 more than 3 GB after fifty files. `--runInBand` keeps all in one, for a debugger.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type jestRunner from 'jest-runner';

// Its declarations are those of its CommonJS module alone.
const { default: TestRunner }: typeof jestRunner = createRequire(import.meta.url)('jest-runner');

const OPENING = /^\s*\/\*\*[^]*?\*\//;
const ALONE = /^[\s/*]*@alone\s/m;

type Run = Parameters<jestRunner.default['runTests']>;
type Test = Run[0][number];

export default class Runner extends TestRunner {
  override async runTests(...[tests, watcher, options]: Run): Promise<void> {
    // oxlint-disable-next-line no-underscore-dangle -- Jest's own, protected
    const { runInBand, detectOpenHandles } = this._globalConfig;
    const serial = options.serial && (runInBand || detectOpenHandles);
    const alone = new Set(serial ? [] : tests.filter(isAlone));
    const together = tests.filter((test) => !alone.has(test));
    if (together.length > 0) await super.runTests(together, watcher, { ...options, serial });
    for (const test of alone) await super.runTests([test], watcher, { ...options, serial });
  }
}

function isAlone({ path }: Test): boolean {
  return ALONE.test(OPENING.exec(readFileSync(path, 'utf8'))?.[0] ?? '');
}
