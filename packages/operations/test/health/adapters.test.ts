import { createServer } from 'node:http';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  createHealth,
  healthIndicators,
  healthMiddleware,
  healthPlugin,
} from '@holdfast/operations';
import fastify from 'fastify';
import { listening } from '../listening.ts';
import { answerWhileStalled } from '../../src/health/server/messages.ts';
import { type StallState, nextStall } from '../../src/health/server/stall.ts';

async function failingHealth() {
  const clock = createFakeClock();
  const check = (): never => {
    throw new Error('down');
  };
  const health = createHealth({
    clock,
    components: {
      database: { group: 'databases', check },
      mail: { group: 'external', critical: false, check },
      auth: { group: 'services', check: () => {} },
    },
  });
  await clock.advance(1);
  return health;
}

test('Fastify answers the probes', async () => {
  const health = await failingHealth();
  const app = fastify();
  await app.register(healthPlugin(health));
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const ready = await fetch(`${address}/readyz`);
  expect(ready.status).toBe(503);
  expect(ready.headers.get('content-type')).toContain('application/health+json');
  expect(await (await fetch(`${address}/livez`)).json()).toMatchObject({ status: 'pass' });
  await app.close();
  health.close();
});

test('a middleware answers the probes and passes every other request on', async () => {
  const health = await failingHealth();
  const middleware = healthMiddleware(health);
  const server = createServer((request, response) =>
    middleware(request, response, () => response.end('the application')),
  );
  const { url } = await listening(server);
  expect((await fetch(`${url}/livez?verbose`)).status).toBe(200);
  expect((await fetch(`${url}/health`, { method: 'HEAD' })).status).toBe(503);
  expect(await (await fetch(`${url}/orders`)).text()).toBe('the application');
  expect(await (await fetch(`${url}/livez`, { method: 'POST' })).text()).toBe('the application');
  health.close();
  server.closeAllConnections();
  server.close();
});

test('the indicators of Nest are down only for what is critical', async () => {
  const health = await failingHealth();
  expect(healthIndicators(health).map((indicator) => indicator())).toEqual([
    { database: { status: 'down' } },
    { mail: { status: 'up', degraded: true } },
    { auth: { status: 'up' } },
  ]);
  health.close();
});

test('a main thread that does not beat is stalled; a tick that is late itself proves little', () => {
  const start: StallState = { beat: 5, tickedMs: 0, stalledMs: 0 };
  let state = start;
  for (let tick = 1; tick <= 20; tick += 1) state = nextStall(state, 5, tick * 50, 50);
  expect(state.stalledMs).toBe(1_000);
  expect(nextStall(state, 6, 1_050, 50).stalledMs).toBe(0);
  // The whole process was frozen for a minute.
  expect(nextStall(start, 5, 60_000, 50).stalledMs).toBe(100);
});

test('a stall makes unready at once, and not alive only after deadAfterMs', () => {
  const last = { statusCode: 200, headers: {}, body: '' };
  const codeOf = (probe: 'live' | 'ready' | 'startup', stalledMs: number): number =>
    answerWhileStalled(probe, last, { stalledMs, stack: ['spin (a.ts:1)'] }, 60_000).statusCode;
  expect(codeOf('ready', 1_000)).toBe(503);
  expect(codeOf('startup', 1_000)).toBe(200);
  expect(codeOf('live', 59_999)).toBe(200);
  expect(codeOf('live', 60_000)).toBe(503);
});
