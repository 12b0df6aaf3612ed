/** Uses each optional peer through our entry point for it; runs in a project beside the installed clients. */
export const USE_CLIENTS = `
import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createCatalogService } from '@holdfast/catalog/service';
import { chaosHandler } from '@holdfast/faults/msw';
import { chaosReply } from '@holdfast/faults/nock';
import { createChaosFaultInjector } from '@holdfast/faults';
import { createQueueAdapter, createQueueOn } from '@holdfast/queue';
import { createBullmqBackend } from '@holdfast/queue/bullmq';
import { registerQueueMetrics as observe } from '@holdfast/queue/opentelemetry';
import { registerQueueMetrics } from '@holdfast/queue/prometheus';
import { metrics } from '@opentelemetry/api';
import { Redis } from 'ioredis';
import { setupServer } from 'msw/node';
import { Registry } from 'prom-client';

const url = process.env.REDIS_URL;
const majorOf = (name) =>
  JSON.parse(readFileSync('node_modules/' + name + '/package.json', 'utf8')).version.split('.')[0];

async function handleOne(queue) {
  const handled = new Promise((resolve) => queue.process('jobs', (job) => resolve(job.payload)));
  const { accepted } = await queue.enqueue('jobs', { amount: 7 });
  assert.deepEqual(await handled, { amount: 7 });
  return accepted;
}

const jobs = createQueueAdapter({
  redis: { connect: (required) => new Redis(url, { ...required }) },
  prefix: 'own',
});
await jobs.ready();
assert.equal(await handleOne(jobs), 'redis');
const registry = new Registry();
const unregister = registerQueueMetrics({ registry, queues: { jobs } });
assert.match(await registry.metrics(), /queue_\\w+\\{[^}]*\\} 1\\b/);
unregister();
observe({ meter: metrics.getMeter('own'), queues: { jobs } })();
await jobs.close();

const bullmq = createQueueOn(createBullmqBackend({ redis: { url }, prefix: 'bull' }));
await bullmq.ready();
assert.equal(await handleOne(bullmq), 'redis');
await bullmq.close();

const nothing = { search: async () => {}, get: async () => {}, status: () => ({ attempts: [] }) };
const service = createCatalogService({ catalog: nothing });
const served = await fetch((await service.listen()) + '/health/live');
assert.equal((await served.json()).status, 'pass');
await service.close();
assert.match(execFileSync('npx', ['--no', 'catalog', 'help', 'serve'], { encoding: 'utf8' }), /--port/);

const chaos = createChaosFaultInjector(true, { seed: 1 });
const hello = () => new Response('hello');
const server = setupServer(chaosHandler(chaos, 'http://msw.test/', hello));
server.listen();
assert.equal(await (await fetch('http://msw.test/')).text(), 'hello');
server.close();
// Both replace the global fetch, one at a time.
const { default: nock } = await import('nock');
chaosReply(chaos, nock('http://nock.test').get('/'), hello);
assert.equal(await (await fetch('http://nock.test/')).text(), 'hello');
nock.restore();

console.log(['bullmq', 'msw', 'nock', 'prom-client', 'ioredis'].map(majorOf).join(' '));
process.exit();
`;
