import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Project, SLOW_MS, createProject } from './pack.ts';

let project: Project;

const WORK = `
const work = async () => {
  const queue = createQueueOn(createMemoryBackend());
  const handled = new Promise((resolve) => {
    queue.process('t', (job) => resolve(job.payload));
  });
  await queue.enqueue('t', 7);
  const payload = await handled;
  await queue.close();
  return payload;
};
`;
const REQUIRE = `const { createQueueOn, createMemoryBackend } = require('@holdfast/queue');${WORK}`;
const IMPORT = `import { createQueueOn, createMemoryBackend } from '@holdfast/queue';${WORK}`;
const JEST = "test('works', async () => { expect(await work()).toBe(7); });\n";
const NODE =
  "(async () => { if ((await work()) !== 7) throw new Error(); console.log('works'); })();\n";
const ASSERTING = "async () => require('node:assert').equal(await work(), 7)";

/** The two ways in which Jest runs CommonJS tests on these packages, as the documentation has them. */
const transformIgnorePatterns = ['/node_modules/(?!@holdfast/)'];
const babel = [
  'babel-jest',
  { presets: [['@babel/preset-env', { targets: { node: 'current' } }]] },
];
const tsconfig = {
  allowJs: true,
  module: 'commonjs',
  esModuleInterop: true,
  isolatedModules: true,
};
const configs = {
  'jest.babel.json': { transform: { '\\.[jt]sx?$': babel }, transformIgnorePatterns },
  'jest.ts.json': {
    transform: { '\\.[jt]sx?$': ['ts-jest', { tsconfig: { ...tsconfig, target: 'es2022' } }] },
    transformIgnorePatterns,
  },
};

beforeAll(async () => {
  const runners =
    'jest@30 @types/jest@30 babel-jest@30 @babel/core@7 @babel/preset-env@7 ts-jest@29 typescript@5.9 vitest@4 ' +
    'mocha@11 tsx@4 ts-node@10 esbuild webpack@5 webpack-cli@6';
  project = await createProject(['queue'], runners.split(' '), { type: 'commonjs' });
  await project.write({
    ...Object.fromEntries(
      Object.entries(configs).map(([name, config]) => [name, JSON.stringify(config)]),
    ),
    'tsconfig.json': JSON.stringify({
      compilerOptions: { module: 'commonjs', target: 'es2022', esModuleInterop: true },
    }),
    'main.cjs': REQUIRE + NODE,
    'main.ts': IMPORT + NODE,
    'jest/a.test.js': REQUIRE + JEST,
    'jest/b.test.ts': IMPORT + JEST,
    'mocha/a.cjs': `${REQUIRE}it('works', ${ASSERTING});\n`,
    'node/a.cjs': `const { test } = require('node:test');${REQUIRE}test('works', ${ASSERTING});\n`,
    'vitest/a.test.mjs': `import { expect, test } from 'vitest';\n${IMPORT}${JEST}`,
  });
}, SLOW_MS);

afterAll(async () => {
  await project.remove();
});

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const requiresInJest = major > 24 || (major === 24 && minor >= 9);

test(
  'Jest says how to set it up when it is not',
  async () => {
    const jest = project.run('jest', ['jest/a.test.js', '--rootDir', '.']);
    await expect(jest).rejects.toThrow('transformIgnorePatterns');
  },
  SLOW_MS,
);

test.each<[string, string, string[], Record<string, string>?]>([
  ['require in Node', 'node', ['main.cjs']],
  ['Jest with a Babel transform', 'jest', ['-c', 'jest.babel.json', '--rootDir', '.', 'jest/a']],
  ['Jest with ts-jest', 'jest', ['-c', 'jest.ts.json', '--rootDir', '.', 'jest/b']],
  ...(requiresInJest
    ? [
        [
          'Jest with the modules of Node',
          'jest',
          ['--rootDir', '.', 'jest/a'],
          { NODE_OPTIONS: '--experimental-vm-modules' },
        ] satisfies [string, string, string[], Record<string, string>],
      ]
    : []),
  ['Vitest', 'vitest', ['run', 'vitest']],
  ['Mocha', 'mocha', ['mocha/a.cjs']],
  ['node:test', 'node', ['--test', 'node/a.cjs']],
  ['tsx', 'tsx', ['main.ts']],
  ['ts-node', 'ts-node', ['--transpile-only', 'main.ts']],
])(
  '%s runs a queue',
  // A row with fewer values than parameters without a default would be given a callback to call at the end.
  async (_, command, args, env = {}) => {
    expect(await project.run(command, args, env)).toMatch(/works|1 passed/);
  },
  SLOW_MS,
);

test.each([
  ['commonjs', 'node10'],
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
])(
  'CommonJS that TypeScript makes with module %s and moduleResolution %s runs a queue',
  async (module, moduleResolution) => {
    const flags = `--strict --target es2022 --outDir out/${module} --module ${module}`;
    await project.run('tsc', [
      ...flags.split(' '),
      '--moduleResolution',
      moduleResolution,
      'main.ts',
    ]);
    expect(await project.run('node', [`out/${module}/main.js`])).toBe('works\n');
  },
  SLOW_MS,
);

test.each<[string, string, string[], string]>([
  [
    'esbuild',
    'esbuild',
    ['main.ts', '--bundle', '--platform=node', '--outfile=out/esbuild.cjs'],
    'out/esbuild.cjs',
  ],
  [
    'webpack',
    'webpack',
    ['--mode', 'production', '--target', 'node', '--entry', './main.cjs', '-o', 'out/webpack'],
    'out/webpack/main.js',
  ],
])(
  'a bundle of %s runs a queue',
  async (_, command, args, file) => {
    await project.run(command, args);
    expect(await project.run('node', [file])).toBe('works\n');
  },
  SLOW_MS,
);
