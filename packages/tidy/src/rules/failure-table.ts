import {
  type Violation,
  type Repository,
  type RepositoryFile,
  publishedPackagesIn,
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

const FAILURES = /^(?:docs\/failures\/[\w-]+|\.github\/SECURITY)\.md$/;
const TESTS = '## Tests that show it';
const SHOWN = /^- \[[^\]]*\]\(\.\.\/\.\.\/([^)]+)\): “(.*)”$/gm;

/** What `docs/failures` and the security policy name exists, and so do the sentences of the tests that show a failure. */
export function failurePagesNameTestsThatExist(repository: Repository): Violation[] {
  const pages = repository.files.filter(({ path }) => FAILURES.test(path));
  return pages
    .flatMap((page) => testsNamedIn(page, repository))
    .concat(pages.flatMap((page) => pathsNamedIn(page, repository)));
}

function testsNamedIn(page: RepositoryFile, repository: Repository): Violation[] {
  const shown = [...page.text.matchAll(SHOWN)];
  const headingAt = page.text.indexOf(TESTS);
  if (shown.length === 0 && page.text.includes('## What you see')) {
    return [violationAt(page, 0, 'names no test that shows it')];
  }
  const items = headingAt === -1 ? [] : [...page.text.slice(headingAt).matchAll(/^- .*$/gm)];
  const malformed = items
    .filter(({ 0: item }) => item.match(SHOWN) === null)
    .map(({ index }) => violationAt(page, headingAt + index, 'has no sentence of a test'));
  const invented = shown
    .filter(
      ({ 1: path = '', 2: sentence = '' }) =>
        repository.find(path)?.text.includes(sentence) !== true,
    )
    .map(({ 1: path = '', 2: sentence = '', index }) =>
      violationAt(page, index, `${path} has no test "${sentence}"`),
    );
  return malformed.concat(invented);
}

function pathsNamedIn(page: RepositoryFile, { files }: Repository): Violation[] {
  return [...page.text.matchAll(/packages\/[\w./-]+/g)]
    .filter(({ 0: named }) => !files.some(({ path }) => path.startsWith(named)))
    .map(({ 0: named, index }) => violationAt(page, index, `${named} does not exist`));
}

const CODES = 'docs/failures/codes.md';

/** The page of the codes has a row for each error of the published packages, and no other. */
export function everyCodeHasARow(repository: Repository): Violation[] {
  const page = repository.find(CODES);
  if (page === undefined) return [];
  const published = new Set(publishedPackagesIn(repository).map(({ name }) => name));
  const declared = repository.files
    .filter(({ path }) => published.has(/^packages\/([^/]+)\/src\//.exec(path)?.[1] ?? ''))
    .flatMap((file) =>
      [...file.text.matchAll(/readonly code(?:: string)? = '(\w+)'/g)].map(
        ({ 1: code = '', index }) => ({ code, file, index }),
      ),
    );
  const rows = [...page.text.matchAll(/^\| `([A-Z]\w+)` +\|/gm)];
  const listed = new Set(rows.map(({ 1: code = '' }) => code));
  const known = new Set(declared.map(({ code }) => code));
  return declared
    .filter(({ code }) => !listed.has(code))
    .map(({ code, file, index }) => violationAt(file, index, `${code} has no row in ${CODES}`))
    .concat(
      rows
        .filter(({ 1: code = '' }) => !known.has(code))
        .map(({ 1: code = '', index }) =>
          violationAt(page, index, `no error has the code ${code}`),
        ),
    );
}
