import { expect, test } from '@jest/globals';
import { registerQueueMetrics as registerForOpenTelemetry } from '@holdfast/queue/opentelemetry';
import { registerQueueMetrics } from '@holdfast/queue/prometheus';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Registry } from 'prom-client';
import { BackendError } from '../src/errors.ts';
import { openTestQueue } from './open-queue.ts';

test('Prometheus reads the statistics of a queue when it scrapes, and none after the metrics are removed', async () => {
  const { queue, backend } = openTestQueue();
  const registry = new Registry();
  const unregister = registerQueueMetrics({ registry, queues: { mail: queue }, prefix: 'app_' });
  backend.up();
  await queue.enqueue('t', 1);
  backend.down();
  await queue.enqueue('t', 2);
  const text = await registry.metrics();
  expect(text).toMatch(/^app_queue_accepted_redis_total\{queue="mail"\} 1$/m);
  expect(text).toMatch(/^app_queue_accepted_fallback_total\{queue="mail"\} 1$/m);
  expect(text).toMatch(/^app_queue_backlog_jobs\{queue="mail"\} 1$/m);
  expect(text).toMatch(/^app_queue_health\{queue="mail"\} 1$/m);
  expect(text).toMatch(/^app_queue_error_class\{queue="mail"\} 2$/m);
  expect(await registry.metrics()).toBe(text);
  unregister();
  unregister();
  expect(await registry.metrics()).not.toContain('queue');
  backend.up();
  await queue.close();
});

test('OpenTelemetry reads the same statistics under the same names', async () => {
  const { queue, backend } = openTestQueue();
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 });
  const provider = new MeterProvider({ readers: [reader] });
  const meter = provider.getMeter('test');
  const unregister = registerForOpenTelemetry({ meter, queues: { mail: queue } });
  backend.up();
  await queue.enqueue('t', 1);
  await reader.forceFlush();
  const [exported] = exporter.getMetrics();
  const found = exported?.scopeMetrics[0]?.metrics.find(
    ({ descriptor }) => descriptor.name === 'queue_accepted_redis_total',
  );
  expect(found?.dataPoints).toMatchObject([{ attributes: { queue: 'mail' }, value: 1 }]);
  unregister();
  await provider.shutdown();
  await queue.close();
});

test.each([
  ['an unknown option', { queue: {} }, 'queue'],
  ['a value that is not a queue', { queues: { mail: {} } }, 'queues'],
])('%s is refused by name', (_, options, field) => {
  const all = { registry: new Registry(), ...options };
  expect(() => Reflect.apply(registerQueueMetrics, undefined, [all])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test('the health of a queue has its level, state, error, depth, age, and the remaining time of a drain', async () => {
  const { queue, backend, clock } = openTestQueue({ maxBacklogJobs: 10_000 });
  expect(queue.health()).toMatchObject({ level: 'degraded', state: 'opening', depth: 0 });
  backend.up();
  await queue.ready();
  expect(queue.health()).toEqual({
    level: 'healthy',
    state: 'direct',
    current: 'redis',
    depth: 0,
    bytes: 0,
    dataLossCount: 0,
  });
  backend.down();
  await Promise.all(Array.from({ length: 2_000 }, (_, n) => queue.enqueue('t', n)));
  await clock.advance(100);
  expect(queue.health()).toMatchObject({
    level: 'degraded',
    state: 'buffering',
    current: 'memory',
    errorClass: 'unreachable',
    lastError: 'it was taken down',
    depth: 2_000,
    oldestAgeMs: 100,
  });
  await Promise.all(Array.from({ length: 6_000 }, (_, n) => queue.enqueue('t', n)));
  expect(queue.health().level).toBe('critical');
  const draining = new Promise((resolve) => {
    queue.on('state', ({ to }) => to === 'draining' && resolve(queue.health()));
  });
  backend.up();
  await expect(draining).resolves.toMatchObject({ drainEtaMs: expect.any(Number) });
  await queue.close();
  expect(queue.health()).toMatchObject({ level: 'critical', state: 'closed' });
});

test('a failure that an operator has to resolve is critical', async () => {
  const { queue, backend, clock } = openTestQueue();
  await backend.opened;
  backend.failAttempt(new BackendError('denied', 'NOAUTH'));
  expect(queue.health()).toMatchObject({
    level: 'critical',
    state: 'blocked',
    errorClass: 'denied',
    lastError: 'NOAUTH',
  });
  await clock.settle(queue.close());
});
