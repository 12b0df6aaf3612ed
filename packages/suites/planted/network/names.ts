import type { PlantedBug } from '../planted-bug.ts';

const NAMES = 'packages/network/test/names';
const SOURCE = 'packages/network/src/names';

export const networkNamesBugs: readonly PlantedBug[] = [
  {
    name: 'a set of addresses is kept as long as its longest record says',
    file: `${SOURCE}/queries/answer.ts`,
    sound: 'Math.min(aliasTtlMs, ...found.map(ttlMsOf))',
    broken: 'Math.max(...found.map(ttlMsOf))',
    tests: { path: `${NAMES}/queries`, name: 'is read as it is meant' },
  },
  {
    name: 'an answer to another question is believed',
    file: `${SOURCE}/queries/query.ts`,
    sound: 'questions.length === 1 && isSameName &&',
    broken: 'questions.length === 1 &&',
    tests: { path: `${NAMES}/queries`, name: 'an answer with another name' },
  },
  {
    name: "one caller's abort ends the question of all",
    file: `${SOURCE}/answers/answers.ts`,
    sound: 'if (question.askers.size > 0) return;',
    broken: 'if (question.askers.size > 1) return;',
    tests: { path: `${NAMES}/calls`, name: "a caller's abort leaves the others" },
  },
  {
    name: 'an expired answer is given out as a fresh one',
    file: `${SOURCE}/answers/name-entry.ts`,
    sound: 'return stale === undefined ? set : { ...set, stale };',
    broken: 'return set;',
    tests: { path: `${NAMES}/answers`, name: 'its last answer serves with its age' },
  },
  {
    name: 'one family that fails fails the name',
    file: `${SOURCE}/answers/combine.ts`,
    sound: "if (known.some(({ kind }) => kind === 'addresses')) {",
    broken: "if (known.every(({ kind }) => kind === 'addresses')) {",
    tests: { path: `${NAMES}/answers`, name: 'one family that fails leaves the other' },
  },
  {
    name: 'slow names keep their places, and others wait',
    file: `${SOURCE}/answers/question.ts`,
    sound: 'const onSlow = (): void => this.#park(question);',
    broken: 'const onSlow = (): void => {};',
    tests: { path: `${NAMES}/calls`, name: 'names without an answer' },
  },
  {
    name: 'a shortage of descriptors is a fault of the name servers',
    file: `${SOURCE}/queries/query.ts`,
    sound: 'if (isShort && this.#attempts.size === 0) {',
    broken: 'if (isShort && this.#attempts.size < 0) {',
    tests: { path: `${NAMES}/queries`, name: 'a machine without descriptors' },
  },
  {
    name: 'a file that could not be read for want of a descriptor counts as empty',
    file: `${SOURCE}/system-files.ts`,
    sound: 'let isUnread = first.shortage !== undefined;',
    broken: 'let isUnread = false;',
    tests: {
      path: 'packages/suites/test/network-failures/fetch/limits',
      name: 'a first call without descriptors',
    },
  },
];
