import {
  type Violation,
  type Repository,
  type RepositoryFile,
  violationAt,
} from '../repository.ts';

const SUITES = /^packages\/suites\/test\/([\w-]+)\/.*\.test\.ts$/;
const RESULTS = /^docs\/results\/[\w-]+\.md$/;
const TABLE = /<!-- scenarios: ([\w-]+) -->(.*?)<!-- \/scenarios -->/gs;

/** Each family of suites has a table in `docs/results`, with exactly one row for each of its scenarios. */
export function failureTablesHaveTheSuitesRows({ files }: Repository): Violation[] {
  const suites = Map.groupBy(
    files.filter(({ path }) => SUITES.test(path)),
    ({ path }) => SUITES.exec(path)?.[1] ?? '',
  );
  const tables = files.filter(({ path }) => RESULTS.test(path)).flatMap(tablesIn);
  return [...suites].flatMap(([family, own]) => {
    const promises = own.flatMap(promisesIn);
    const rows = tables.filter((table) => table.family === family).flatMap((table) => table.rows);
    const known = new Set(promises.map(({ promise }) => promise));
    const shown = new Set(rows.map(({ row }) => row));
    const missing = promises.filter(({ promise }) => !shown.has(promise));
    const invented = rows.filter(({ row }) => !known.has(row));
    return missing
      .map(({ violation }) => violation)
      .concat(invented.map(({ violation }) => violation));
  });
}

function promisesIn(file: RepositoryFile): { promise: string; violation: Violation }[] {
  return [...file.text.matchAll(/^ +(?:promise|scenario):\s*'([^']+)'/gm)].map(
    ({ 1: promise = '', index }) => ({
      promise,
      violation: violationAt(file, index, 'is not a row of the table of its family'),
    }),
  );
}

function tablesIn(
  file: RepositoryFile,
): { family: string; rows: { row: string; violation: Violation }[] }[] {
  return [...file.text.matchAll(TABLE)].map(({ 1: family = '', 2: table = '', index }) => ({
    family,
    rows: [...table.matchAll(/^\| ([^|]+) \|/gm)]
      .map(({ 1: row = '' }) => row.trim())
      .filter((row) => row !== 'Promise' && !/^-+$/.test(row))
      .map((row) => ({
        row,
        violation: violationAt(file, index, `"${row}" is a row without a scenario`),
      })),
  }));
}
