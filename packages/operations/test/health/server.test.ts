import { createServer } from 'node:http';
import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { ProbeServerError, createHealth, serveHealth } from '@holdfast/operations';
import { listening } from '../listening.ts';

const host = '127.0.0.1';

test('the thread answers what the main thread knows, and other paths and methods by their own codes', async () => {
  const health = createHealth({ components: {}, name: 'shop', version: '1.2.3' });
  const server = await serveHealth(health, { port: 0, host, paths: { live: '/alive' } });
  const url = `http://${host}:${server.port}`;
  expect(await (await fetch(`${url}/alive`)).json()).toEqual({
    status: 'pass',
    serviceId: 'shop',
    version: '1.2.3',
  });
  expect((await fetch(`${url}/readyz`, { method: 'HEAD' })).status).toBe(200);
  expect((await fetch(`${url}/orders`)).status).toBe(404);
  expect((await fetch(`${url}/readyz`, { method: 'POST' })).status).toBe(405);
  health.beginDrain();
  const codes: number[] = [];
  while (codes.at(-1) !== 503) codes.push((await fetch(`${url}/readyz`)).status);
  expect((await fetch(`${url}/alive`)).status).toBe(200);
  await server.close();
  await server.close();
  await expect(fetch(`${url}/alive`)).rejects.toThrow('fetch failed');
  health.close();
});

test('a port that is taken is told to the caller', async () => {
  const taken = createServer();
  const { port } = await listening(taken);
  const health = createHealth({ components: {} });
  const failure = serveHealth(health, { port, host });
  await expect(failure).rejects.toThrow(ProbeServerError);
  await expect(failure).rejects.toThrow('EADDRINUSE');
  health.close();
  taken.close();
});

test('a thread that ends by itself is told and started anew, on the same port', async () => {
  const health = createHealth({ components: {} });
  const broken = { isBroken: false };
  const server = await serveHealth(
    {
      // @ts-expect-error: what the thread is sent makes it fail.
      answer: (probe) => (broken.isBroken ? undefined : health.answer(probe)),
      noteStall: () => {},
      noteServerFailure(error) {
        broken.isBroken = false;
        health.noteServerFailure(error);
      },
    },
    { port: 0, host },
  );
  const url = `http://${host}:${server.port}/readyz`;
  const failed = nextEvent(health, 'server-failed');
  broken.isBroken = true;
  const isAnswered = async (): Promise<boolean> =>
    fetch(url).then(
      ({ status }) => status === 200,
      () => false,
    );
  while (await isAnswered());
  expect(await failed).toMatchObject({ error: { code: 'OPERATIONS_PROBE_SERVER_FAILED' } });
  while (!(await isAnswered()));
  await server.close();
  health.close();
});

test('a failure of the thread is an event, and a stall is told with its stack', async () => {
  const health = createHealth({ components: {} });
  const failed = nextEvent(health, 'server-failed');
  health.noteServerFailure(new Error('out of memory'));
  expect(await failed).toMatchObject({ error: { message: 'out of memory' } });
  const stalled = nextEvent(health, 'stalled');
  health.noteStall(1_200, ['spin (a.ts:1)']);
  expect(await stalled).toEqual({ stalledMs: 1_200, stack: ['spin (a.ts:1)'] });
  health.close();
});
