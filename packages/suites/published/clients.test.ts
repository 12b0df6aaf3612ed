import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openStage } from '@holdfast/stage';
import { entriesOf, importAll } from './entries.ts';
import { type Project, SLOW_MS, createProject, publishedNames } from './pack.ts';
import { USE_CLIENTS } from './use-clients.ts';

const names = await publishedNames();
const projects: Project[] = [];
afterAll(async () => {
  for (const project of projects) await project.remove();
});

async function opened(...options: Parameters<typeof createProject>): Promise<Project> {
  const project = await createProject(...options);
  projects.push(project);
  return project;
}

const resolutions = [
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
] as const;

const FLAGS =
  '--noEmit --strict --exactOptionalPropertyTypes --target es2022 --skipLibCheck false'.split(' ');

/** Checks the declarations of libraries too. @returns what the compiler says of the file: nothing */
function compile(
  project: Project,
  version: string,
  [module, moduleResolution]: readonly [string, string],
  file: string,
  flags: readonly string[] = [],
): Promise<string> {
  return project.run('node', [
    `node_modules/typescript-${version}/bin/tsc`,
    ...FLAGS,
    ...flags,
    '--module',
    module,
    '--moduleResolution',
    moduleResolution,
    file,
  ]);
}

const compilers = ['5.6', '5.9', '6', '7'].map(
  (version) => `typescript-${version}@npm:typescript@${version}`,
);
const clients = {
  newest:
    'bullmq@6 msw@3 nock@15 prom-client@15 @supabase/supabase-js@2 @opentelemetry/api@1 @jest/globals@30 ' +
    '@aws-sdk/client-s3@3 fastify@5',
  older:
    'bullmq@5 msw@2 nock@14 prom-client@14 @supabase/supabase-js@2.50 @opentelemetry/api@1.8 @jest/globals@29 ' +
    '@aws-sdk/client-s3@3.700 ioredis@5 pg@8.11 fastify@5.6.0',
};

/** `@types/pg`, which this entry point extends, and msw 3 need TypeScript 5.7. */
const needs57: ReadonlySet<string> = new Set(['@holdfast/database/pg']);

/** Else TypeScript reads every package of `@types` that is installed, used or not. */
const NODE_ONLY = ['--types', 'node'];

/** These clients are ES modules, whose declarations CommonJS cannot import. */
const modulesOnly: ReadonlySet<string> = new Set([
  '@holdfast/emulators/esim-go/msw',
  '@holdfast/emulators/esim-go/nock',
  '@holdfast/faults/msw',
  '@holdfast/faults/nock',
]);

/** The users' own clients are what the packages take. */
const USE = `
import { S3Client } from '@aws-sdk/client-s3';
import { metrics } from '@opentelemetry/api';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { createQueueAdapter } from '@holdfast/queue';
import { registerQueueMetrics } from '@holdfast/queue/prometheus';
import { registerQueueMetrics as observe } from '@holdfast/queue/opentelemetry';
import { createStorage, s3Backend, supabaseBackend } from '@holdfast/storage';
const jobs = createQueueAdapter({ redis: { connect: (required) => new Redis({ ...required }) } });
registerQueueMetrics({ registry: new Registry(), queues: { jobs } });
observe({ meter: metrics.getMeter('own'), queues: { jobs } });
createStorage({
  backends: [
    s3Backend({ client: new S3Client({}), bucket: 'b' }),
    supabaseBackend({ url: 'http://localhost', key: 'key', bucket: 'b' }),
  ],
  journal: { directory: 'storage' },
});
`;

describe.each(['newest', 'older'] as const)('beside the %s clients', (age) => {
  let project: Project;
  let entries: string[] = [];

  beforeAll(async () => {
    project = await opened(names, [...clients[age].split(' '), ...compilers]);
    entries = await entriesOf(project, names);
    await project.write({
      'all.mts': importAll(entries) + USE,
      'all.cts': importAll(entries.filter((entry) => !modulesOnly.has(entry))),
      'before-5.7.mts': importAll(entries.filter((entry) => !needs57.has(entry))) + USE,
    });
  }, SLOW_MS);

  test.each(
    ['5.9', '6', '7'].flatMap((version) =>
      resolutions.map((resolution) => [version, ...resolution] as const),
    ),
  )(
    'TypeScript %s with module %s and moduleResolution %s finds no error in any declaration',
    async (version, module, moduleResolution) => {
      const resolution = [module, moduleResolution] as const;
      expect(await compile(project, version, resolution, 'all.mts')).toBe('');
    },
    SLOW_MS,
  );

  test.each(['5.9', '6', '7'])(
    'a CommonJS module of TypeScript %s imports every entry point',
    async (version) => {
      for (const resolution of resolutions.slice(0, 2)) {
        expect(await compile(project, version, resolution, 'all.cts')).toBe('');
      }
    },
    SLOW_MS,
  );

  test(
    'they work through the entry points for them',
    async () => {
      const stage = await openStage({ redis: true });
      try {
        await project.write({ 'use.mjs': USE_CLIENTS });
        const said = await project.run('node', ['use.mjs'], { REDIS_URL: stage.redis.url });
        expect(said.trim().split('\n').at(-1)).toBe(
          age === 'older' ? '5 2 14 14 5' : '6 3 15 15 6',
        );
      } finally {
        await stage.close();
      }
    },
    SLOW_MS,
  );

  if (age === 'older') {
    test(
      'TypeScript 5.6 finds no error either, without the entry points that need a newer one',
      async () => {
        for (const resolution of resolutions) {
          expect(await compile(project, '5.6', resolution, 'before-5.7.mts', NODE_ONLY)).toBe('');
        }
      },
      SLOW_MS,
    );
  }
});

test.each([
  ['Supabase', '@supabase/supabase-js@2.50', 'npm'],
  ['S3', '@aws-sdk/client-s3@3', 'pnpm'],
] as const)(
  'a user of %s alone installs nothing else, and compiles',
  async (_, client, installer) => {
    const others = [client, 'typescript-5.9@npm:typescript@5.9'];
    const project = await opened(['storage', 'queue'], others, { installer });
    await project.write({ 'main.mts': importAll(['@holdfast/storage', '@holdfast/queue']) });
    for (const resolution of resolutions) {
      expect(await compile(project, '5.9', resolution, 'main.mts')).toBe('');
    }
    expect(
      await project.run('node', [
        '-e',
        "import('@holdfast/storage').then((s) => console.log(typeof s.createStorage))",
      ]),
    ).toBe('function\n');
  },
  SLOW_MS,
);
