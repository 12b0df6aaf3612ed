import { posix } from 'node:path';
import { type Repository, type Violation, matchesIn, violationAt } from '../repository.ts';

/** A private word, and the standard terms to choose from. */
export const privateWords: Readonly<Record<string, string>> = {
  aside: 'separate, reserve',
  chance: 'random',
  ensemble: 'topology',
  harm: 'fault',
  lane: 'buffer, pipe, replica',
  lent: 'leased',
  mend: 'fix, recover',
  parcel: 'chunk',
  seat: 'driver',
  soloist: 'single server',
  squeeze: 'limit',
  standing: 'state',
  steer: 'control',
  strike: 'inject',
  strikes: 'injections',
  surroundings: 'deps',
  told: 'notified, received',
  ward: 'guarded resource',
  wayout: 'remedy',
};

const british: Readonly<Record<string, string>> = {
  behaviour: 'behavior',
  colour: 'color',
  normalise: 'normalize',
  organise: 'organize',
  serialise: 'serialize',
  serialised: 'serialized',
  summarise: 'summarize',
  unrecognised: 'unrecognized',
};

const CODE = /^(?:bench|packages)\/.*\.[mc]?ts$/;
const IDENTIFIER = /[A-Za-z_$#][\w$]*/g;
const words: Readonly<Record<string, string>> = { ...privateWords, ...british };

/** Identifiers and file names consist of standard terms in American spelling. */
export function namesAreStandardTerms({ files }: Repository): Violation[] {
  return files
    .filter(({ path }) => CODE.test(path) && !path.endsWith('/rules/words.ts'))
    .flatMap((file) => {
      const inPath = wordsIn(posix.basename(file.path))
        .filter((word) => Object.hasOwn(words, word))
        .map((word) => violationAt(file, 0, adviceOn(word)));
      const inCode = [...file.code.matchAll(IDENTIFIER)].flatMap(({ 0: name, index }) =>
        wordsIn(name)
          .filter((word) => Object.hasOwn(words, word))
          .map((word) => violationAt(file, index, `${name}: ${adviceOn(word)}`)),
      );
      return inPath.concat(inCode);
    });
}

/** Test names have no labels such as `H13:`, whose list no reader has. */
export function testNamesAreSentences({ files }: Repository): Violation[] {
  return files
    .filter(({ path }) => path.endsWith('.test.ts'))
    .flatMap((file) =>
      matchesIn(
        file,
        /(?<=['"`])[A-Z]{1,2}\d{1,3}: /g,
        'write a sentence instead of a label',
        'text',
      ),
    );
}

/** Splits `nextLaneOf` into next, lane and of. */
function wordsIn(name: string): string[] {
  return name
    .split(/[^A-Za-z]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)
    .map((word) => word.toLowerCase());
}

function adviceOn(word: string): string {
  return `instead of "${word}" use ${words[word] ?? 'a standard term'}`;
}
