import { expect, test } from '@jest/globals';
import type { DockerAvailability } from '../../src/runtime/container/availability.ts';
import { parseDockerHost } from '../../src/runtime/container/engine-candidates.ts';
import { type RequestedMode, chooseMode } from '../../src/runtime/choose-mode.ts';

const engine = { socketPath: '/run/engine.sock' };
const available: DockerAvailability = { available: true, engine };
const unavailable: DockerAvailability = {
  available: false,
  reason: 'no engine answers',
  remedy: 'Start one',
};

function choose(
  request: Partial<RequestedMode>,
  docker: DockerAvailability,
): ReturnType<typeof chooseMode> {
  return chooseMode(
    { mode: undefined, variable: undefined, ...request },
    () => Promise.resolve(docker),
    () => Promise.resolve(docker.available ? { ...docker, servers: new Map() } : docker),
  );
}

test('without a requested mode it is docker when available, else local', async () => {
  expect(await choose({}, available)).toEqual({ kind: 'docker', engine });
  expect(await choose({}, unavailable)).toEqual({ kind: 'local' });
  expect(await choose({ variable: '' }, unavailable)).toEqual({ kind: 'local' });
});

test('the option overrides the environment, and the environment overrides the default', async () => {
  expect(await choose({ variable: 'local' }, available)).toEqual({ kind: 'local' });
  expect(await choose({ variable: 'local', mode: 'docker' }, available)).toMatchObject({
    kind: 'docker',
  });
});

test('mode local does not look for an engine', async () => {
  const notCalled = (): Promise<never> => Promise.reject(new Error('called'));
  const chosen = chooseMode({ mode: 'local', variable: undefined }, notCalled, notCalled);
  expect(await chosen).toEqual({ kind: 'local' });
});

test('a requested docker that is unavailable is an error with the reason and the remedy', async () => {
  await expect(choose({ variable: 'docker' }, unavailable)).rejects.toMatchObject({
    code: 'STAGE_MODE_UNAVAILABLE',
    mode: 'docker',
    message: expect.stringMatching(/no engine answers\. Start one$/),
  });
});

test('compose is used only on request, and is an error when no service runs', async () => {
  expect(await choose({ variable: 'compose' }, available)).toMatchObject({
    kind: 'compose',
    engine,
  });
  await expect(choose({ mode: 'compose' }, unavailable)).rejects.toMatchObject({
    code: 'STAGE_MODE_UNAVAILABLE',
    mode: 'compose',
  });
});

test('an unknown HOLDFAST_STAGE is refused', async () => {
  await expect(choose({ variable: 'podman' }, available)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'HOLDFAST_STAGE',
  });
});

test.each([
  ['unix:///run/user/1/docker.sock', { socketPath: '/run/user/1/docker.sock' }],
  ['tcp://127.0.0.1:2376', { host: '127.0.0.1', port: 2376 }],
  ['tcp://[::1]:2375', { host: '::1', port: 2375 }],
  ['tcp://localhost', { host: 'localhost', port: 2375 }],
  ['tcp://docker:2375', undefined],
  ['ssh://me@there', undefined],
])('DOCKER_HOST=%s is parsed as %j', (value, expected) => {
  expect(parseDockerHost(value)).toEqual(expected);
});
