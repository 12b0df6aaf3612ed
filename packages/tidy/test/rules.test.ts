import { expect, test } from '@jest/globals';
import { type Rule, repositoryOf } from '../src/repository.ts';
import { testsDoNotSleep, timeAndRandomHaveOneDoor } from '../src/rules/time-and-random.ts';
import { errorsHaveACodeOfTheirOwn } from '../src/rules/error-codes.ts';
import { imagesAreNamedAlike } from '../src/rules/images.ts';
import {
  machineFolders,
  marks,
  noMachineIsNamed,
  noRegistryIsNamed,
  nothingIsLeftForLater,
} from '../src/rules/committed-text.ts';
import {
  exportsAreNamed,
  filesAreShort,
  indexesAreForOthers,
  indexesOpenWithAComment,
  noCatchAllNames,
  nothingIsExportedByDefault,
} from '../src/rules/modules.ts';
import { omissionsHaveAReason, testsAssert, testsImportWhatTheyJudge } from '../src/rules/tests.ts';

/** A rule, the path of the texts, texts that it must report, and texts that must pass. */
type Planted = [string, Rule, string, string[], string[]];

const source = 'packages/queue/src/queue.ts';
const suite = 'packages/queue/test/queue.test.ts';

test.each<Planted>([
  [
    'a direct read of time or random numbers',
    timeAndRandomHaveOneDoor,
    source,
    [
      'const at = Date.now();',
      'const at = new Date();',
      'const at = performance.now();',
      'const at = process.hrtime.bigint();',
      'setTimeout(run, delayMs);',
      'globalThis.setTimeout(run, delayMs);',
      'const timer: ReturnType<typeof setInterval> = start();',
      'if (Math.random() < 0.5) run();',
      'const signal = AbortSignal.timeout(10);',
      "import { setTimeout as wait } from 'node:timers/promises';",
      "import * as timers from 'timers';",
      'const text = `${Date.now()}`;',
      'const half = total / 2; const at = Date.now(); const third = total / 3;',
    ],
    [
      "// Date.now() is the clock's affair\nconst message = 'Date.now()';",
      'const at = new Date(epochMs);',
      'socket.setTimeout(idleMs);',
      'const text = `Date.now() ${clock.now()} Math.random()`;',
      "import { setImmediate as nextTurn } from 'node:timers/promises';",
      String.raw`const pattern = /["'\]/]Date\.now/; const rest = "Date.now";`,
    ],
  ],
  [
    'a test that sleeps',
    testsDoNotSleep,
    suite,
    [
      'await new Promise((resolve) => setTimeout(resolve, 50));',
      'setTimeout(() => {\n  resolve(1);\n}, 5 * 1_000);',
      "import { setTimeout as wait } from 'node:timers/promises';",
      'await sleep(systemClock, 50);',
    ],
    [
      'const guard = setTimeout(() => fail(), deadlineMs);',
      'await sleep(clock, 50);',
      'await sleep(systemClock, leftMs);',
      "import { setImmediate as nextTurn } from 'node:timers/promises';",
    ],
  ],
  [
    'an unnamed export',
    exportsAreNamed,
    source,
    ["export * from './a.ts';", "export type * from './a.ts';", "export * as a from './a.ts';"],
    ["export { a } from './a.ts';", 'export const product = 2 * 3;'],
  ],
  [
    'a default export',
    nothingIsExportedByDefault,
    source,
    ['export default class {}', 'export { a as default };'],
    ["import { default as a } from 'a';", "const message = 'export default';"],
  ],
  [
    'an index without a first sentence',
    indexesOpenWithAComment,
    'packages/queue/src/index.ts',
    ["export { a } from './a.ts';"],
    ["/** Refuses to lose a job. */\nexport { a } from './a.ts';"],
  ],
  [
    'an import of its own index',
    indexesAreForOthers,
    'packages/queue/src/redis/adapter.ts',
    [
      "import { a } from '../index.ts';",
      "import { a } from '@holdfast/queue';",
      "const a = await import('@holdfast/queue/testing');",
      "export { a } from '../index.ts';",
    ],
    ["import { a } from './index.ts';", "import { a } from '@holdfast/journal';"],
  ],
  ['a long file', filesAreShort, source, ['\n'.repeat(400) + 'end'], ['\n'.repeat(399) + 'end\n']],
  [
    'a test that imports no code of this repository',
    testsImportWhatTheyJudge,
    suite,
    ["import { expect, test } from '@jest/globals';"],
    ["import { a } from '@holdfast/queue';", "import { a } from '../src/a.ts';"],
  ],
  [
    'a test that cannot fail',
    testsAssert,
    suite,
    ["test('a', () => { run(); }); // expect(run())"],
    ['expect(a).toBe(1);', 'honoursQueueContract(open);', 'fc.assert(property);'],
  ],
  [
    'an omission without a reason',
    omissionsHaveAReason,
    suite,
    [
      "test.skip('a', run);",
      "describe.only('a', run);",
      'const when = isLinux ? test : test.skip;',
      "test.skip.each([])('http://a', run);",
      "xit('a', run);",
      "run(); // for speed\n\ntest.skip('a', run);",
    ],
    [
      "// macOS has no such signal\ntest.skip('a', run);",
      "test.skip('a', run); // macOS has no such signal",
      "const message = 'test.skip(';",
    ],
  ],
  [
    'a path of one machine',
    noMachineIsNamed,
    'README.md',
    machineFolders.map((folder) => `see ${folder}x`),
    machineFolders.map((folder) => `see packages${folder}x`),
  ],
  [
    'a registry host',
    noRegistryIsNamed,
    'pnpm-lock.yaml',
    ['registry.', 'npm.registry.'].map((host) => `tarball: https://${host}example/a.tgz`),
    ['https://example.org/registry', 'the registry.'],
  ],
  [
    'work left for later',
    nothingIsLeftForLater,
    source,
    marks.map((mark) => `// ${mark}: later`),
    marks.map((mark) => `// ${mark.toLowerCase()}`),
  ],
  [
    'an error without a code of its own',
    errorsHaveACodeOfTheirOwn,
    source,
    [
      'export class LostError extends HoldfastError {}',
      "class LostError extends HoldfastError {\n  // readonly code = 'LOST';\n}",
      'class LostError extends HoldfastError {\n  readonly code: string = name;\n}',
      "class A extends HoldfastError { readonly code = 'A'; }\nclass B extends HoldfastError { readonly code = 'A'; }",
      'abstract class QueueError extends HoldfastError {}\nclass LostError extends QueueError {}',
    ],
    [
      "class A extends HoldfastError { readonly code = 'A'; }\nclass B extends HoldfastError { readonly code = 'B'; }",
      'abstract class QueueError extends HoldfastError {}',
      "class A extends HoldfastError { override readonly code: string = 'A'; }",
      'class A extends Map<string, number> {}',
    ],
  ],
])('%s is reported, and text that only looks like it is not', (_, rule, path, caught, passed) => {
  for (const text of caught) {
    expect({ text, violations: rule(repositoryOf({ [path]: text })).length }).toEqual({
      text,
      violations: 1,
    });
  }
  for (const text of passed) {
    expect({ text, violations: rule(repositoryOf({ [path]: text })) }).toEqual({
      text,
      violations: [],
    });
  }
});

test('a violation has its line', () => {
  const repository = repositoryOf({
    [source]: "import 'a';\n/* two\nlines */\nsetInterval(a, b);\n",
  });
  expect(timeAndRandomHaveOneDoor(repository)).toMatchObject([{ path: source, line: 4 }]);
});

test('the files of Clock and Random may read time and random numbers', () => {
  const repository = repositoryOf({
    'packages/foundation/src/timers/system-clock.ts': 'Date.now();',
    'packages/foundation/src/random.ts': 'Math.random();',
  });
  expect(timeAndRandomHaveOneDoor(repository)).toEqual([]);
});

test.each([
  'packages/queue/src/utils.ts',
  'packages/queue/src/helpers/a.ts',
  'packages/common/package.json',
  'packages/queue/src/types.test.ts',
  'bench/lib/a.ts',
])('%s is a catch-all name', (path) => {
  expect(noCatchAllNames(repositoryOf({ [path]: '{}' }))).toHaveLength(1);
});

test.each(['packages/queue/src/library.ts', 'packages/queue/src/event-types.ts'])(
  '%s is not a catch-all name',
  (path) => {
    expect(noCatchAllNames(repositoryOf({ [path]: '' }))).toEqual([]);
  },
);

test('an image that only one side names is reported on that side', () => {
  const stage = 'packages/stage/src/images.ts';
  const compose = 'docker-compose.test.yml';
  const named = (inStage: string, inCompose: string): string[] =>
    imagesAreNamedAlike(
      repositoryOf({
        [stage]: `// was 'redis:6'\nexport const images = { redis: '${inStage}', url: 'redis://a' };`,
        [compose]: `services:\n  redis:\n    image: ${inCompose} # pinned\n`,
      }),
    ).map(({ path, line }) => `${path}:${line}`);
  expect(named('redis:7.4.2', 'redis:7.4.2')).toEqual([]);
  expect(named('supabase/postgrest:v12.2', '"supabase/postgrest:v12.2"')).toEqual([]);
  expect(named('redis:7.4.2', '${HOLDFAST_REDIS_IMAGE:-redis:7.4.2}')).toEqual([]);
  expect(named('redis:7.4.2', 'redis:7.4.1')).toEqual([`${stage}:2`, `${compose}:3`]);
  expect(imagesAreNamedAlike(repositoryOf({ [stage]: "const a = 'redis:7';" }))).toHaveLength(1);
  expect(imagesAreNamedAlike(repositoryOf({}))).toEqual([]);
});
