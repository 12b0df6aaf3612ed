import { expect, test } from '@jest/globals';
import { repositoryOf } from '../src/repository.ts';
import { everyFileParses, oldestNode } from '../src/rules/engines.ts';

const source = 'packages/queue/src/queue.ts';

test('code that no Node parses is reported with its line, and text that only looks like it is not', () => {
  const violations = everyFileParses(
    repositoryOf({
      [source]: 'const a: number = 1;\nconst b = ;\n',
      'packages/queue/test/a.test.ts':
        "const message = 'await using a = b;'; // await using a = b;",
      'setup.mjs': 'await import(`node:fs`);\nreturn;\n',
      'README.md': 'const = ;',
    }),
  );
  expect(violations).toMatchObject([
    { path: source, message: expect.stringContaining('does not parse on Node') },
    { path: 'setup.mjs', line: 2 },
  ]);
});

if (oldestNode !== undefined) {
  test('code that only a newer Node parses is reported, in a test and in a source', () => {
    const violations = everyFileParses(
      repositoryOf({
        [source]: 'export async function a(): Promise<void> {\n  await using b = c();\n}\n',
        'packages/queue/test/a.test.ts': "test('a', () => {\n  using b = c();\n});\n",
        'packages/queue/test/b.test.ts': "test('b', async () => {\n  const b = await c();\n});\n",
      }),
    );
    expect(violations.map(({ path, line }) => `${path}:${line}`)).toEqual([
      `${source}:2`,
      'packages/queue/test/a.test.ts:2',
    ]);
  });

  test('an oldest Node that engines do not allow is reported', () => {
    const repository = repositoryOf({
      'package.json': JSON.stringify({ engines: { node: '>=18.0' } }),
      [source]: '',
    });
    expect(everyFileParses(repository)).toMatchObject([{ path: 'packages/tidy/package.json' }]);
  });
}
