import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface TestFile {
  readonly path: string;
}

/**
 * Jest's order of test files, for runs that end with the first one that fails: the shortest first, as the run before
 * measured them. The times are kept in the folder of the package's copy.
 */
export default class ShortestFirst {
  readonly #times = join(process.cwd(), 'times.json');

  sort(tests: readonly TestFile[]): TestFile[] {
    const times = this.#read();
    const timeOf = ({ path }: TestFile): number => times[path] ?? Infinity;
    return tests.toSorted((left, right) => timeOf(left) - timeOf(right));
  }

  allFailedTests(tests: readonly TestFile[]): readonly TestFile[] {
    return tests;
  }

  /** Keeps the times of the first run, which is without a mutant. */
  cacheResults(
    _: unknown,
    run: { testResults: readonly { testFilePath: string; perfStats: { runtime: number } }[] },
  ): void {
    if (Object.keys(this.#read()).length > 0) return;
    const times = run.testResults.map((file) => [file.testFilePath, file.perfStats.runtime]);
    writeFileSync(this.#times, JSON.stringify(Object.fromEntries(times)));
  }

  #read(): Record<string, number> {
    try {
      return JSON.parse(readFileSync(this.#times, 'utf8'));
    } catch {
      return {};
    }
  }
}
