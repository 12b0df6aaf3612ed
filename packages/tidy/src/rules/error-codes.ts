import {
  type Violation,
  type Repository,
  type RepositoryFile,
  violationAt,
} from '../repository.ts';
import { bracketed } from '../source-text.ts';

interface ErrorClass {
  readonly file: RepositoryFile;
  readonly index: number;
  readonly name: string;
  readonly parent: string;
  readonly isAbstract: boolean;
  readonly code: string | undefined;
}

const ROOT = 'HoldfastError';

/** Every error class has a distinct code, as a literal that callers can switch on. */
export function errorsHaveACodeOfTheirOwn(repository: Repository): Violation[] {
  const classes = repository.files
    .filter(({ path }) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path))
    .flatMap(classesIn);
  const errors = classes.filter((found) => !found.isAbstract && descends(found, classes));
  const owners = new Map<string, ErrorClass>();
  return errors.flatMap((found) => {
    const { file, index, name, code } = found;
    if (code === undefined) return [violationAt(file, index, `${name} has no literal code`)];
    const owner = owners.get(code);
    if (owner === undefined) {
      owners.set(code, found);
      return [];
    }
    const message = `${name} shares the code ${code} with ${owner.name} of ${owner.file.path}`;
    return [violationAt(file, index, message)];
  });
}

function classesIn(file: RepositoryFile): ErrorClass[] {
  const heads = file.code.matchAll(
    /(?:\b(abstract)\s+)?\bclass\s+(\w+)\s*(?:<[^{]*?>)?\s*extends\s+(\w+)[^{]*\{/g,
  );
  return [...heads].map(({ index, 0: head, 1: isAbstract, 2: name = '', 3: parent = '' }) => {
    const start = index + head.length - 1;
    return {
      file,
      index,
      name,
      parent,
      isAbstract: isAbstract !== undefined,
      code: codeIn(file, start, bracketed(file.code, start).length),
    };
  });
}

/** Takes the literal from the text and its position from the code, where a comment cannot look like a field. */
function codeIn(file: RepositoryFile, start: number, length: number): string | undefined {
  const body = file.code.slice(start, start + length);
  const field = /\breadonly\s+code\b[^;=\n]*=\s*(['"])/.exec(body);
  if (field === null) return undefined;
  const from = start + field.index + field[0].length;
  return file.text.slice(from, file.code.indexOf(field[1] ?? "'", from));
}

function descends(found: ErrorClass, classes: readonly ErrorClass[]): boolean {
  const seen = new Set<string>();
  let { parent } = found;
  while (parent !== ROOT) {
    const next = classes.find(({ name }) => name === parent);
    if (next === undefined || seen.has(parent)) return false;
    seen.add(parent);
    parent = next.parent;
  }
  return true;
}
