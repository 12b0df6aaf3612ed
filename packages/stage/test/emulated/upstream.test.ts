import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type Stage, openStage } from '../../src/stage.ts';
import { parsePattern, programUrl } from '@holdfast/emulators/programs';

let stage: Stage<{ upstream: true }>;
beforeAll(async () => {
  stage = await openStage({ mode: 'local', upstream: true });
});
afterAll(() => stage.close());
beforeEach(async () => {
  if (stage.upstream.state === 'stopped') await stage.upstream.start();
  await stage.upstream.script([]);
  await stage.upstream.setFaults({ failureRate: 0, latencyMs: 0 });
  await stage.upstream.forgetRequests();
});

const get = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(stage.upstream.url + path, init);

/** The statuses of so many requests, one after the other. */
async function statuses(count: number, path = '/'): Promise<number[]> {
  const seen: number[] = [];
  while (seen.length < count) {
    const response = await get(path);
    await response.arrayBuffer();
    seen.push(response.status);
  }
  return seen;
}

test('without a script it returns the request, and /health returns ok', async () => {
  const echoed = await get('/a?b=c', { method: 'POST', body: 'question' });
  expect(await echoed.json()).toEqual({ method: 'POST', path: '/a?b=c', body: 'question' });
  const health = await get('/health');
  expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }]);
});

test('the first route that matches method and path answers, and no other', async () => {
  await stage.upstream.script([
    { method: 'POST', path: '/bundles/:id', status: 201, headers: { 'X-Made': 'yes' } },
    { path: '/bundles/:id', body: [{ id: 1 }] },
    { path: '/files/*', body: 'a file', headers: { 'content-type': 'text/csv' } },
  ]);
  const made = await get('/bundles/7', { method: 'POST' });
  expect([made.status, made.headers.get('x-made'), await made.text()]).toEqual([201, 'yes', '']);
  const read = await get('/bundles/7?full=1');
  expect([read.headers.get('content-type'), await read.json()]).toEqual([
    'application/json',
    [{ id: 1 }],
  ]);
  const file = await get('/files/a/b');
  expect([file.headers.get('content-type'), await file.text()]).toEqual(['text/csv', 'a file']);
  const unknown = await get('/bundles/7/prices');
  expect([unknown.status, await unknown.json()]).toEqual([
    404,
    { error: 'no route matches GET /bundles/7/prices' },
  ]);
});

test('the first answers are sent in their order and number, then the route’s own', async () => {
  const route = {
    path: '/sync',
    first: [
      { status: 503, times: 2 },
      { status: 429, headers: { 'retry-after': '1' } },
    ],
  };
  await stage.upstream.script([route]);
  expect(await statuses(5, '/sync')).toEqual([503, 503, 429, 200, 200]);
  await stage.upstream.setFaults({ latencyMs: 1 });
  expect(await statuses(1, '/sync')).toEqual([200]);
  await stage.upstream.script([route, { path: '/other' }]);
  expect(await statuses(2, '/sync')).toEqual([503, 503]);
});

test('the same seed fails the same requests, at their share', async () => {
  await stage.upstream.setFaults({ failureRate: 0.5, seed: 7 });
  const first = await statuses(40);
  await stage.upstream.setFaults({ failureRate: 0.5, seed: 8 });
  const other = await statuses(40);
  await stage.upstream.kill();
  await stage.upstream.start();
  await stage.upstream.setFaults({ failureRate: 0.5, seed: 7 });
  expect(await statuses(40)).toEqual(first);
  expect(other).not.toEqual(first);
  const failed = first.filter((status) => status === 503).length;
  expect(failed).toBeGreaterThan(8);
  expect(failed).toBeLessThan(32);
});

test('an answer is delayed by the route and by the common latency, /health by neither', async () => {
  await stage.upstream.script([{ path: '/slow', delayMs: 3_600_000 }]);
  const caller = new AbortController();
  const waiting = get('/slow', { signal: caller.signal }).catch((reason: unknown) => reason);
  while ((await stage.upstream.requests()).length === 0) await new Promise(setImmediate);
  caller.abort(new Error('enough'));
  expect(await waiting).toEqual(new Error('enough'));
  expect((await stage.upstream.requests())[0]).not.toHaveProperty('status');

  await stage.upstream.script([]);
  await stage.upstream.setFaults({ latencyMs: 50 });
  const startedMs = performance.now();
  await get('/');
  expect(performance.now() - startedMs).toBeGreaterThan(45);
  await stage.upstream.setFaults({ latencyMs: 3_600_000 });
  expect((await get('/health')).status).toBe(200);
});

test('it records its requests until they are forgotten', async () => {
  await stage.upstream.script([{ path: '/orders/:id', status: 202 }]);
  await get('/orders/1?dry=1', {
    method: 'PUT',
    body: 'x'.repeat(5_000),
    headers: { 'X-Key': 'k' },
  });
  await get('/nothing');
  await get('/health');
  const [put, missed, ...others] = await stage.upstream.requests();
  expect(put).toMatchObject({
    method: 'PUT',
    path: '/orders/1?dry=1',
    body: 'x'.repeat(4_096),
    headers: { 'x-key': 'k' },
    status: 202,
    route: '/orders/:id',
    atMs: expect.any(Number),
  });
  expect(missed).toMatchObject({ path: '/nothing', status: 404 });
  expect(others).toEqual([]);
  await stage.upstream.forgetRequests();
  expect(await stage.upstream.requests()).toEqual([]);
});

test('the script survives a crash, its position and the requests do not', async () => {
  await stage.upstream.script([{ path: '/once', first: [{ status: 503 }] }]);
  expect(await statuses(2, '/once')).toEqual([503, 200]);
  await stage.upstream.kill();
  await expect(get('/once')).rejects.toBeDefined();
  await stage.upstream.start();
  expect(await stage.upstream.requests()).toEqual([]);
  expect(await statuses(2, '/once')).toEqual([503, 200]);
});

test('while it is down, configuring it is an error that says so', async () => {
  await stage.upstream.kill();
  const refusal = { code: 'STAGE_STATE', state: 'stopped', needed: ['running'] };
  await expect(stage.upstream.script([])).rejects.toMatchObject({ ...refusal, verb: 'script' });
  await expect(stage.upstream.requests()).rejects.toMatchObject({ ...refusal, verb: 'requests' });
});

test('an invalid script is refused at the call, and the former one stays', async () => {
  await stage.upstream.script([{ path: '/kept' }]);
  const script = stage.upstream.script([{ path: 'no-slash' }]);
  await expect(script).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'routes[0].path' });
  expect(await statuses(1, '/kept')).toEqual([200]);
});

test('without a stage, as in a container, its environment sets failure rate and latency', async () => {
  const main = fileURLToPath(programUrl('http'));
  const env = { FAILURE_RATE: '1', LATENCY_MS: '1' };
  const child = spawn(process.execPath, [main, '127.0.0.1', '0'], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const [line] = await once(createInterface(child.stdout), 'line');
    const port = /:(\d+)$/.exec(String(line))?.[1];
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(503);
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
  }
});

test.each([
  ['/', '/', true],
  ['/a/:id', '/a/1', true],
  ['/a/:id', '/a/', false],
  ['/a/:id', '/a/1/b', false],
  ['/a/*', '/a/1/b', true],
  ['/a/*', '/a', false],
  ['/*', '/', true],
  ['/a', '/A', false],
  ['/caf%C3%A9', '/caf%C3%A9', true],
])('the pattern %s and the path %s: %s', (pattern, path, fits) => {
  expect(parsePattern(pattern)?.matches(path)).toBe(fits);
});

test.each(['', 'a', '/a b', '/*/a', '/:', '/:a-b', '/a?b', '/a#b', '/%zz'])(
  '%j is no pattern',
  (pattern) => {
    expect(parsePattern(pattern)).toBeUndefined();
  },
);

test.each([
  [{ upstream: false }, 'upstream'],
  [{ upstream: { route: [] } }, 'upstream.route'],
  [{ upstream: { routes: {} } }, 'upstream.routes'],
  [{ upstream: { routes: [{}] } }, 'upstream.routes[0].path'],
  [{ upstream: { routes: [{ path: '/*/a' }] } }, 'upstream.routes[0].path'],
  [{ upstream: { routes: [{ path: '/', method: 'get' }] } }, 'upstream.routes[0].method'],
  [{ upstream: { routes: [{ path: '/', status: 99 }] } }, 'upstream.routes[0].status'],
  [
    { upstream: { routes: [{ path: '/', headers: { 'a b': 'c' } }] } },
    'upstream.routes[0].headers.a b',
  ],
  [{ upstream: { routes: [{ path: '/', body: () => 1 }] } }, 'upstream.routes[0].body'],
  [{ upstream: { routes: [{ path: '/', delayMs: -1 }] } }, 'upstream.routes[0].delayMs'],
  [
    { upstream: { routes: [{ path: '/', first: [{ times: 0 }] }] } },
    'upstream.routes[0].first[0].times',
  ],
  [{ upstream: { failureRate: 1.5 } }, 'upstream.failureRate'],
  [{ upstream: { latencyMs: 0.5 } }, 'upstream.latencyMs'],
  [{ upstream: { seed: -1 } }, 'upstream.seed'],
])('the options %j are refused by naming %s', async (options, field) => {
  const wrong: object = options;
  await expect(openStage(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});

test('a variable that is no rate is refused by its name', async () => {
  process.env['FAILURE_RATE'] = 'often';
  try {
    await expect(openStage({ upstream: true })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      field: 'FAILURE_RATE',
      value: 'often',
    });
  } finally {
    delete process.env['FAILURE_RATE'];
  }
});
