import {
  type Repository,
  type RepositoryFile,
  type Violation,
  objectIn,
  violationAt,
} from '../repository.ts';

const README = /^(?:packages\/[\w-]+\/)?README\.md$/;
const MAX_COLUMNS = 4;
const MAX_CELL = 60;
const MAX_LINES = 120;
const MAX_ROOT_LINES = 90;

/** Tables of READMEs fit on a screen. */
export function tablesFitOnAScreen({ files }: Repository): Violation[] {
  return files
    .filter(({ path }) => README.test(path))
    .flatMap((file) =>
      rowsIn(file).flatMap(({ index, cells }) => {
        if (cells.length > MAX_COLUMNS) {
          return [violationAt(file, index, `has ${cells.length} columns, over ${MAX_COLUMNS}`)];
        }
        const longest = Math.max(...cells.map(shownLength));
        return longest <= MAX_CELL
          ? []
          : [violationAt(file, index, `has a cell of ${longest} characters, over ${MAX_CELL}`)];
      }),
    );
}

/** READMEs are short; measurements and decisions belong in `docs`. */
export function readmesAreShort({ files }: Repository): Violation[] {
  return files
    .filter(({ path }) => README.test(path))
    .flatMap((file) => {
      const limit = file.path === 'README.md' ? MAX_ROOT_LINES : MAX_LINES;
      const lines = file.text.trimEnd().split('\n').length;
      return lines <= limit
        ? []
        : [{ path: file.path, line: limit + 1, message: `has ${lines} lines, over ${limit}` }];
    });
}

/** Documents and rules name only packages that exist. */
export function packagesThatAreNamedExist({ files, packages }: Repository): Violation[] {
  const known = new Set(packages.map(({ name }) => name));
  return files
    .filter(({ path }) => path.endsWith('.md'))
    .flatMap((file) =>
      [...file.text.matchAll(/@holdfast\/([a-z][\w-]*)|\bpackages\/([a-z][\w-]*)/g)]
        .filter(([, scoped, folder]) => !known.has(scoped ?? folder ?? ''))
        .map(({ 0: name, index }) => violationAt(file, index, `${name} does not exist`)),
    );
}

const ARCHITECTURE = 'docs/architecture.md';
const workspaceDependencies = ['dependencies', 'devDependencies'];

/** The architecture page lists every package with the packages that its manifest names. */
export function architectureAgreesWithImports(repository: Repository): Violation[] {
  const page = repository.find(ARCHITECTURE);
  if (page === undefined) return [];
  const listed = new Map(
    [...page.text.matchAll(/^\| `([\w-]+)` +\|[^|]*\| ([^|]*?) *\|$/gm)].map(
      ({ 1: name = '', 2: imports = '', index }) => [name, { imports, index }],
    ),
  );
  return repository.packages.flatMap(({ name, manifest }) => {
    const row = listed.get(name);
    if (row === undefined) return [violationAt(page, 0, `does not list ${name}`)];
    const fields = manifest['private'] === true ? workspaceDependencies : ['dependencies'];
    const names = fields
      .flatMap((field) => Object.keys(objectIn(manifest[field])))
      .flatMap((dependency) => /^@holdfast\/(.*)$/.exec(dependency)?.[1] ?? [])
      .toSorted((a, b) => (a < b ? -1 : 1));
    const expected = names.length === 0 ? '–' : names.join(', ');
    if (row.imports === expected) return [];
    return [violationAt(page, row.index, `${name} imports ${expected}`)];
  });
}

function rowsIn(file: RepositoryFile): { index: number; cells: string[] }[] {
  let isFenced = false;
  let index = 0;
  const rows: { index: number; cells: string[] }[] = [];
  for (const line of file.text.split('\n')) {
    if (/^\s*```/.test(line)) isFenced = !isFenced;
    if (!isFenced && /^\|.*\|$/.test(line) && !/^[|\s:-]+$/.test(line)) {
      const cells = line.slice(1, -1).split(/(?<!\\)\|/);
      rows.push({ index, cells: cells.map((cell) => cell.trim()) });
    }
    index += line.length + 1;
  }
  return rows;
}

/** A link counts as its text. */
function shownLength(cell: string): number {
  return cell.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '').length;
}
