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
      // What only the compiler reads of the blocks is not shown.
      const shown = file.text.replaceAll(/^<!-- context\n.*?\n-->$/gms, '');
      const lines = shown.trimEnd().split('\n').length;
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

const OPTIONS = /^\| Option +\|(?: Type +\|)? Default +\|.*(?:\n\|.*)+/gm;
const SCOPE = /<!-- defaults: (.+) -->/g;

/**
 * A number that a table of options in `docs` states as a default stands in the code beside the name of its option. The code is
 * that of the packages, or of the files and folders that a comment before the table names.
 */
export function defaultsAreThoseOfTheCode({ files }: Repository): Violation[] {
  const lines = files
    .filter(({ path }) => /^packages\/[\w-]+\/src\/.*\.ts$/.test(path))
    .flatMap(({ path, code }) =>
      code
        .split('\n')
        .filter((line) => /[:=?]/.test(line))
        .map((line) => ({ path, line })),
    );
  return files
    .filter(({ path }) => /^docs\/(?:tuning\.md|(?:failures|policies)\/)/.test(path))
    .flatMap((page) =>
      [...page.text.matchAll(OPTIONS)].flatMap(({ 0: table, index }) => {
        const scope = [...page.text.slice(0, index).matchAll(SCOPE)].at(-1)?.[1] ?? 'packages/';
        const folders = scope.split(' ');
        const code = lines
          .filter(({ path }) => folders.some((folder) => path.startsWith(folder)))
          .map(({ line }) => line);
        return statedDefaults(table)
          .filter((stated) => !hasDefault(code, stated))
          .map(({ option, value, at }) =>
            violationAt(page, index + at, `${option} has not the default ${value} in ${scope}`),
          );
      }),
    );
}

interface StatedDefault {
  readonly option: string;
  readonly value: number;
  readonly at: number;
}

const units: Readonly<Record<string, number>> = {
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  day: 86_400_000,
};

/** The defaults that are numbers: `1 000`, `64 MiB`, `0.5`, and of several options `10 000, 64 MiB`. */
function statedDefaults(table: string): StatedDefault[] {
  const column = /^\| Option +\| Type/.test(table) ? 3 : 2;
  return [...table.matchAll(/^\|.*$/gm)].flatMap(({ 0: row, index: at }) => {
    const cells = row.split(/(?<!\\)\|/);
    const names = [...(cells[1] ?? '').matchAll(/`(?:[\w<>]+\.)*(\w+)`/g)];
    const values = (cells[column] ?? '').trim().split(/, (?=\d)/);
    return names.flatMap(({ 1: option = '' }, index) => {
      const stated = /^(\d[\d ]*(?:\.\d+)?)(?: ([KMG]iB|day)s?)?(?=$|,| )/.exec(
        values[index] ?? '',
      );
      if (stated === null) return [];
      const { 1: digits = '', 2: unit = '' } = stated;
      return [{ option, value: Number(digits.replaceAll(' ', '')) * (units[unit] ?? 1), at }];
    });
  });
}

/** Whether a line names the option, or the constant of its name, and then the number or another constant that is the number. */
function hasDefault(code: readonly string[], { option, value }: StatedDefault): boolean {
  const constant = option.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
  const name = new RegExp(String.raw`\b(?:${option}|${constant})\b(.*)`);
  return code.some((line) => {
    if (!line.includes(option) && !line.includes(constant)) return false;
    const rest = name.exec(line)?.[1];
    if (rest === undefined) return false;
    if (numbersIn(rest).includes(value)) return true;
    const rule = /^\??: (\w+)[,(]/.exec(rest)?.[1];
    if (rule === undefined) return false;
    const start = `const ${rule} =`;
    return code.some((other) => other.includes(start) && numbersIn(other).includes(value));
  });
}

/** The literals of a line, and its products such as `64 * MIB`; where it has a `default:`, those of that alone. */
function numbersIn(line: string): number[] {
  const numbers = (/\bdefault: ([^,})]*)/.exec(line)?.[1] ?? line)
    .replaceAll(/\b([KMG])(?:IB|(?:EBI|IBI)BYTE)\b/g, (_, letter) => String(units[`${letter}iB`]))
    .replaceAll(/\bDAY_MS\b/g, String(units['day']))
    .matchAll(/\d[\d_.]*(?: \*\*? \d[\d_.]*)*/g);
  return [...numbers].map(({ 0: product }) =>
    product
      .replaceAll('_', '')
      .split(' * ')
      .map((factor) => factor.split(' ** ').map(Number))
      .reduce((result, [base = 0, exponent = 1]) => result * base ** exponent, 1),
  );
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
