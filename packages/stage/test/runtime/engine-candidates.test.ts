import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { checkDocker } from '../../src/runtime/container/availability.ts';
import {
  dockerHostOf,
  findEngineCandidates,
} from '../../src/runtime/container/engine-candidates.ts';

let home: string;
const engines: Server[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-engines-'));
});
afterEach(async () => {
  for (const engine of engines.splice(0)) engine.close();
  await rm(home, { recursive: true, force: true });
});

/** An engine that answers `/_ping` and the like at a socket; resolves with the paths that it was asked for. */
async function engineAt(path: string): Promise<string[]> {
  await mkdir(dirname(path), { recursive: true });
  const asked: string[] = [];
  const engine = createServer((request, response) => {
    const agent = request.headers['user-agent'] ?? '';
    asked.push(`${agent.split('/')[0]} ${request.url}`);
    response.end('{}');
  }).listen(path);
  engines.push(engine);
  await once(engine, 'listening');
  return asked;
}

async function file(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await writeFile(join(home, path), content);
}

/** A context of the Docker CLI, as `docker context create` writes it. */
async function context(name: string, host: string, folder = '.docker'): Promise<void> {
  const digest = createHash('sha256').update(name).digest('hex');
  const meta = { Name: name, Metadata: {}, Endpoints: { docker: { Host: host } } };
  await file(`${folder}/contexts/meta/${digest}/meta.json`, JSON.stringify(meta));
}

const places = (): { systemSocket: string; userFolder: string } => ({
  systemSocket: join(home, 'var/run/docker.sock'),
  userFolder: join(home, 'run/user/1000'),
});

/** The addresses of the candidates, in their order. */
async function found(env: Record<string, string> = {}): Promise<string[]> {
  const { candidates } = await findEngineCandidates({ HOME: home, ...env }, places());
  return candidates.map(({ engine }) => dockerHostOf(engine).replace(home, '~'));
}

test('the usual sockets are tried in the order of Testcontainers, also those of a rootless engine', async () => {
  const runtime = join(home, 'runtime');
  expect(await found({ XDG_RUNTIME_DIR: runtime })).toEqual([]);
  const paths = [
    'var/run/docker.sock',
    'runtime/docker.sock',
    '.docker/run/docker.sock',
    '.docker/desktop/docker.sock',
    'run/user/1000/docker.sock',
  ];
  for (const path of paths.toReversed()) await engineAt(join(home, path));
  const all = paths.map((path) => `unix://~/${path}`);
  expect(await found({ XDG_RUNTIME_DIR: runtime })).toEqual(all);
  // The service manager does not set it for every process.
  expect(await found()).toEqual(all.filter((path) => !path.includes('runtime')));
});

test('tc.host is tried before DOCKER_HOST, which replaces docker.host and the context', async () => {
  await engineAt(places().systemSocket);
  await context('colima', 'unix:///colima.sock');
  await file('.docker/config.json', '{"auths":{},"currentContext":"colima"}');
  const system = 'unix://~/var/run/docker.sock';
  expect(await found()).toEqual(['unix:///colima.sock', system]);

  await file('.testcontainers.properties', '# mine\r\ndocker.host = unix\\:///of-file.sock\r\n');
  expect(await found()).toEqual(['unix:///of-file.sock', system]);
  await file(
    '.testcontainers.properties',
    'tc.host=tcp\\://127.0.0.1\\:7\ndocker.host=unix:///of-file.sock\n',
  );
  expect(await found()).toEqual(['tcp://127.0.0.1:7', 'unix:///of-file.sock', system]);
  expect(await found({ DOCKER_HOST: 'unix:///named.sock' })).toEqual([
    'tcp://127.0.0.1:7',
    'unix:///named.sock',
    system,
  ]);
  // As in Testcontainers, an empty variable replaces the line of the file too.
  expect(await found({ DOCKER_HOST: '' })).toEqual([
    'tcp://127.0.0.1:7',
    'unix:///colima.sock',
    system,
  ]);
});

test('the context is that of DOCKER_CONTEXT, else the current one in DOCKER_CONFIG, and default is none', async () => {
  await context('colima', 'unix:///colima.sock');
  await context('rootless', 'unix:///run/user/7/docker.sock');
  await context('elsewhere', 'unix:///other.sock', 'other');
  await file('.docker/config.json', '{"currentContext":"colima"}');
  await file('other/config.json', '{"currentContext":"elsewhere"}');
  expect(await found({ DOCKER_CONTEXT: 'rootless' })).toEqual(['unix:///run/user/7/docker.sock']);
  expect(await found({ DOCKER_CONTEXT: 'default' })).toEqual([]);
  expect(await found({ DOCKER_CONTEXT: '' })).toEqual(['unix:///colima.sock']);
  expect(await found({ DOCKER_CONFIG: join(home, 'other') })).toEqual(['unix:///other.sock']);
  // A context that was removed, and a file that another program is writing.
  expect(await found({ DOCKER_CONTEXT: 'gone' })).toEqual([]);
  await file('.docker/config.json', '{"currentContext":');
  expect(await found()).toEqual([]);
});

test.each([
  ['DOCKER_HOST', { DOCKER_HOST: 'tcp://build:2375' }, 'another machine'],
  ["the Docker context 'far'", { DOCKER_CONTEXT: 'far' }, 'another machine'],
  ['DOCKER_HOST', { DOCKER_HOST: 'tcp://127.0.0.1:2376', DOCKER_TLS_VERIFY: '1' }, 'TLS'],
])(
  'an engine that cannot be used is refused by naming %s, not replaced by another',
  async (source, env, reason) => {
    await engineAt(places().systemSocket);
    await context('far', 'ssh://me@far');
    const { candidates, obstacle } = await findEngineCandidates({ HOME: home, ...env }, places());
    expect(candidates).toEqual([]);
    expect(obstacle).toContain(source);
    expect(obstacle).toContain(reason);
  },
);

const check = (env: Record<string, string>): ReturnType<typeof checkDocker> =>
  checkDocker(
    [],
    {
      clock: systemClock,
      fetchTimeoutMs: 5_000,
      signal: new AbortController().signal,
      env: { HOME: home, ...env },
    },
    (given) => findEngineCandidates(given, places()),
  );

test('an engine that does not answer is followed by the next one, and is named when none answers', async () => {
  await context('colima', `unix://${join(home, 'colima.sock')}`);
  await file('.docker/config.json', '{"currentContext":"colima"}');
  const gone = await check({});
  expect(gone).toMatchObject({
    available: false,
    reason: expect.stringMatching(/no container engine answers.*the Docker context 'colima'/),
  });
  const rootless = join(home, '.docker/run/docker.sock');
  await engineAt(rootless);
  expect(await check({})).toEqual({ available: true, engine: { socketPath: rootless } });
});

test('Testcontainers creates the container in the engine of the Docker context', async () => {
  const socket = join(home, 'colima.sock');
  const asked = await engineAt(socket);
  await context('colima', `unix://${socket}`);
  await file('.docker/config.json', '{"currentContext":"colima"}');
  const stage = join(import.meta.dirname, '../../src/index.ts');
  const program = `
    import { openStage } from ${JSON.stringify(stage)};
    await openStage({ mode: 'docker', redis: true, readyTimeoutMs: 1_000 }).catch(() => undefined);
    console.log(process.env.DOCKER_HOST);
    process.exit();
  `;
  const { DOCKER_HOST: _, ...env } = process.env;
  const options = { env: { ...env, HOME: home } };
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  const printed = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, options, (_failure, stdout, stderr) => {
      resolve(`${stdout}${stderr}`);
    });
  });
  expect(printed).toBe('undefined\n');
  expect(asked).toContain(' /_ping');
  expect(asked).toContain('tc-node /info');
  // Loading Testcontainers in another process takes its time on a busy machine.
}, 120_000);
