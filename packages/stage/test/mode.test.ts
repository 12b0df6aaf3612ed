import { expect, test } from '@jest/globals';
import { type DockerAvailability, parseDockerHost } from '../src/runtime/docker/availability.ts';
import { type RequestedMode, chooseMode } from '../src/runtime/choose-mode.ts';

const engine = { socketPath: '/run/engine.sock' };
const available: DockerAvailability = { available: true, engine };
const fallen: DockerAvailability = {
  available: false,
  reason: 'no engine answers',
  remedy: 'Start one',
};

function choose(
  wish: Partial<RequestedMode>,
  verdict: DockerAvailability,
): ReturnType<typeof chooseMode> {
  return chooseMode(
    { mode: undefined, variable: undefined, ...wish },
    () => Promise.resolve(verdict),
    () => Promise.resolve(verdict.available ? { ...verdict, servers: new Map() } : verdict),
  );
}

test('without a wish the mode is docker where it available, else local', async () => {
  expect(await choose({}, available)).toEqual({ mode: 'docker', engine });
  expect(await choose({}, fallen)).toEqual({ mode: 'local' });
  expect(await choose({ variable: '' }, fallen)).toEqual({ mode: 'local' });
});

test('the option goes before the environment, and the environment before the default', async () => {
  expect(await choose({ variable: 'local' }, available)).toEqual({ mode: 'local' });
  expect(await choose({ variable: 'local', mode: 'docker' }, available)).toMatchObject({
    mode: 'docker',
  });
});

test('mode local does not ask for an engine', async () => {
  const unasked = (): Promise<never> => Promise.reject(new Error('asked'));
  const chosen = chooseMode({ mode: 'local', variable: undefined }, unasked, unasked);
  expect(await chosen).toEqual({ mode: 'local' });
});

test('docker that is asked for and cannot stand is an error with the reason and the way out', async () => {
  await expect(choose({ variable: 'docker' }, fallen)).rejects.toMatchObject({
    code: 'STAGE_MODE_UNAVAILABLE',
    mode: 'docker',
    message: expect.stringMatching(/no engine answers\. Start one$/),
  });
});

test('compose is taken only where it is asked for, and is an error where nothing is up', async () => {
  expect(await choose({ variable: 'compose' }, available)).toMatchObject({
    mode: 'compose',
    engine,
  });
  await expect(choose({ mode: 'compose' }, fallen)).rejects.toMatchObject({
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
  ['tcp://localhost', { host: 'localhost', port: 2375 }],
  ['tcp://docker:2375', undefined],
  ['ssh://me@there', undefined],
])('DOCKER_HOST=%s is read as %j', (value, expected) => {
  expect(parseDockerHost(value)).toEqual(expected);
});
