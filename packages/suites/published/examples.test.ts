import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Stage, openStage } from '@holdfast/stage';
import { EXAMPLES, type Example, openExamples } from '../src/examples/example.ts';
import { postOrder, runOrders, unhandledByLines } from '../src/examples/orders.ts';
import { waitUntil } from '../src/wait-until.ts';
import { type Project, SLOW_MS, createProject } from './pack.ts';

const options = { redis: { settings: { appendonly: 'yes', appendfsync: 'always' } } } as const;
let stage: Stage<typeof options>;
const fixture = openExamples();
const projects: Project[] = [];

beforeAll(async () => {
  stage = await openStage(options);
}, SLOW_MS);

afterAll(async () => {
  await fixture.close();
  for (const project of projects) await project.remove();
  await stage.close();
}, SLOW_MS);

/** An empty folder with what the manifest of an example names, ours as they are packed, and then its files. */
async function install(name: string): Promise<Project> {
  const folder = join(EXAMPLES, name);
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const wanted = Object.entries<string>({ ...manifest.dependencies, ...manifest.devDependencies });
  const own = wanted.flatMap(([each]) => /^@holdfast\/(.*)$/.exec(each)?.[1] ?? []);
  const others = wanted
    .filter(([each]) => !each.startsWith('@holdfast/'))
    .map(([each, version]) => `${each}@${version}`);
  const project = await createProject(own, others);
  projects.push(project);
  await cp(folder, project.folder, {
    recursive: true,
    filter: (path) => !/\/(?:node_modules|dist|package\.json)$/.test(path),
  });
  return project;
}

test(
  'Fastify: the example runs through an outage on the packed packages, in an empty folder',
  async () => {
    const { folder } = await install('fastify');
    const env = { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: await fixture.directory() };
    const example = { folder, entry: 'server.ts', env };
    const result = await runOrders(fixture, stage.redis, example, unhandledByLines);
    expect(result.exits).toEqual([0, 0]);
    expect(new Set(result.acceptedBy)).toEqual(new Set(['journal']));
  },
  SLOW_MS,
);

test(
  'NestJS: the example compiles, with all its types, and runs through an outage on the packed packages',
  async () => {
    const project = await install('nestjs');
    await project.run('tsc', []);
    const env = { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: await fixture.directory() };
    const example = { folder: project.folder, entry: 'dist/main.js', env };
    const result = await runOrders(fixture, stage.redis, example, unhandledByLines);
    expect(result.exits).toEqual(['SIGTERM', 'SIGTERM']);
    expect(new Set(result.acceptedBy)).toEqual(new Set(['journal']));
  },
  SLOW_MS,
);

test(
  'Next.js: one queue goes on when a file is changed, and the next start delivers what was accepted',
  async () => {
    const project = await install('next');
    const jobs = await fixture.directory();
    const start = (command: string): Example =>
      fixture.start({
        folder: project.folder,
        entry: 'node_modules/next/dist/bin/next',
        args: [command, '--port', '0'],
        env: { REDIS_URL: stage.redis.url, JOBS_DIRECTORY: jobs, NEXT_TELEMETRY_DISABLED: '1' },
      });
    const apiOf = async (example: Example): Promise<string> =>
      `http://127.0.0.1:${/:(\d+)/.exec(await example.line(/Local:/))?.[1]}/api`;

    const development = start('dev');
    const api = await apiOf(development);
    // The first request is when `next dev` compiles.
    expect(await postOrder(api, SLOW_MS)).toMatchObject({ accepted: 'redis' });
    const route = join(project.folder, 'app/api/orders/route.ts');
    const source = await readFile(route, 'utf8');
    await project.write({
      'app/api/orders/route.ts': source.replace(
        '{ status: 202 }',
        "{ status: 202, headers: { changed: 'yes' } }",
      ),
    });
    await waitUntil(async () => {
      const response = await fetch(`${api}/orders`, { method: 'POST', body: '{}' });
      await response.arrayBuffer();
      return response.status === 202 && response.headers.has('changed');
    });
    await development.stop();

    await project.run('next', ['build'], { NEXT_TELEMETRY_DISABLED: '1' });
    await stage.redis.kill();
    const production = start('start');
    const order = await postOrder(await apiOf(production));
    expect(order.accepted).toBe('journal');
    await production.stop();
    await stage.redis.start();
    const successor = start('start');
    await apiOf(successor);
    await waitUntil(() => unhandledByLines([order.id], [successor]).length === 0);
    await successor.stop();
  },
  SLOW_MS,
);
