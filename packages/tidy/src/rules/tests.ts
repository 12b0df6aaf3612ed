import {
  type Violation,
  type Repository,
  type RepositoryFile,
  violationAt,
} from '../repository.ts';
import { importsOf } from '../source-text.ts';

/** A test imports the code that it tests. */
export function testsImportWhatTheyJudge(repository: Repository): Violation[] {
  return testsIn(repository)
    .filter(({ text, code }) =>
      importsOf(text, code).every(({ specifier }) => !/^(?:@holdfast\/|\.)/.test(specifier)),
    )
    .map((file) => violationAt(file, 0, 'imports no code of this repository'));
}

/** A test asserts something, or it cannot fail. The scenario functions of the suites assert by themselves. */
export function testsAssert(repository: Repository): Violation[] {
  return testsIn(repository)
    .filter(
      ({ code }) =>
        !/\bexpect\s*\(|\bhonours\w*Contract\s*\(|\bfc\.assert\s*\(|\bscenario\s*\(/.test(code),
    )
    .map((file) => violationAt(file, 0, 'asserts nothing'));
}

/** A skipped or exclusive test has a comment next to it with the reason. */
export function omissionsHaveAReason(repository: Repository): Violation[] {
  const omission =
    /\b(?:test|it|describe)(?:\.\w+)*\.(?:only|skip)\b|(?<![\w$.])(?:xtest|xit|xdescribe|fit|fdescribe)\s*\(/g;
  return repository.files
    .filter(({ path }) => /^packages\/(?:[^/]+\/test|suites)\/.*\.ts$/.test(path))
    .flatMap((file) =>
      [...file.code.matchAll(omission)]
        .map(({ index, 0: found }) =>
          violationAt(file, index, `${found} without a reason beside it`),
        )
        .filter(({ line }) => !hasComment(file, line) && !hasComment(file, line - 1, true)),
    );
}

function testsIn({ files }: Repository): RepositoryFile[] {
  return files.filter(({ path }) => path.endsWith('.test.ts'));
}

/** Whether a line (from 1) has a comment, or is only a comment. */
function hasComment(file: RepositoryFile, line: number, whole = false): boolean {
  const text = file.text.split('\n')[line - 1] ?? '';
  const code = file.code.split('\n')[line - 1] ?? '';
  if (whole) return code.trim() === '' && /^\s*(?:\/\/|\/?\*)\s*\S/.test(text);
  return /^\s*\/[/*]\s*\S/.test(text.slice(code.trimEnd().length));
}
