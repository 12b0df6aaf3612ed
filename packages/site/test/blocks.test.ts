import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { compileBlocks } from '../src/blocks/compile.ts';
import { codePageOf, codePagesIn } from '../src/blocks/markdown.ts';
import { pageProgramOf } from '../src/blocks/program.ts';
import { runnableBlocksIn } from '../src/blocks/run.ts';

const root = join(import.meta.dirname, '../../..');
const fence = '```';

/** A page whose second block misspells an option of a published package, on line 12. */
const misspelled = codePageOf(
  'docs/misspelled.md',
  `# A page

${fence}ts
import { createQueueAdapter } from '@holdfast/queue';

const redis = { url: 'redis://127.0.0.1:6379' };
${fence}

Then:

${fence}ts
const queue = createQueueAdapter({ redis, maxTopic: 3 });
await queue.close();
${fence}
`,
);

test('every TypeScript block of the documents compiles, and a misspelled option does not', () => {
  const pages = codePagesIn(root);
  expect(pages.filter((page) => pageProgramOf(page) !== undefined).length).toBeGreaterThan(20);
  const errors = compileBlocks(root, join(root, 'packages/site/.blocks'), [...pages, misspelled]);
  expect(errors).toEqual([
    expect.stringMatching(/^docs\/misspelled\.md:12 error TS2\d+: .*'maxTopic'/),
  ]);
});

test('blocks know what earlier ones declared and may declare it again; imports come first, each once', () => {
  const page = codePageOf(
    'docs/page.md',
    `${fence}ts
import { a } from 'a';
export const x = a;
${fence}

${fence}sh
npm install a
${fence}

- in a list:

  ${fence}ts no-run
  import { a } from 'a';
  const y = x;
  ${fence}

<!-- context
declare const b: string;
-->
`,
  );
  expect(page.blocks.map(({ line, language, marks }) => [line, language, marks])).toEqual([
    [2, 'ts', []],
    [7, 'sh', []],
    [13, 'ts', ['no-run']],
  ]);
  expect(pageProgramOf(page)).toEqual({
    code: [
      "import { a } from 'a';",
      'declare const b: string;',
      'export async function page(): Promise<void> {',
      '{',
      '',
      'const x = a;',
      '{',
      '',
      'const y = x;',
      '}}}',
    ].join('\n'),
    lines: [2, 18, 0, 0, 2, 3, 0, 13, 14, 0],
  });
});

test('a block marked run is a program with the context of its page, and says what it prints', () => {
  const page = codePageOf(
    'docs/page.md',
    `<!-- context
const greeting = 'hi';
-->

${fence}ts run
console.log(greeting);
${fence}

${fence}text
# prints
hi
${fence}

${fence}ts run
console.log(1);
${fence}
`,
  );
  expect(runnableBlocksIn([page])).toEqual([
    {
      name: 'docs/page.md:6',
      code: "const greeting = 'hi';\nconsole.log(greeting);",
      prints: 'hi',
    },
    {
      name: 'docs/page.md:15',
      code: "const greeting = 'hi';\nconsole.log(1);",
      prints: undefined,
    },
  ]);
});
