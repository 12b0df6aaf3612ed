import { expect, test } from '@jest/globals';
import { createMemoryCache } from '@holdfast/cache';
import { registerCacheMetrics as registerForOpenTelemetry } from '@holdfast/cache/opentelemetry';
import { registerCacheMetrics } from '@holdfast/cache/prometheus';
import { createTieredCache } from '@holdfast/cache/redis';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';

test('Prometheus reads the statistics of a cache when it scrapes, and none after the metrics are removed', async () => {
  const cache = createMemoryCache();
  const registry = new Registry();
  const unregister = registerCacheMetrics({ registry, caches: { users: cache }, prefix: 'app_' });
  cache.set('a', 1);
  cache.get('a');
  cache.get('b');
  const text = await registry.metrics();
  expect(text).toMatch(/^app_cache_entries\{cache="users"\} 1$/m);
  expect(text).toMatch(/^app_cache_reads_total\{cache="users",result="hit"\} 1$/m);
  expect(text).toMatch(/^app_cache_reads_total\{cache="users",result="miss"\} 1$/m);
  unregister();
  expect(await registry.metrics()).not.toContain('cache');
});

test('OpenTelemetry reads the same statistics under the same names', async () => {
  const cache = createMemoryCache();
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 });
  const provider = new MeterProvider({ readers: [reader] });
  const unregister = registerForOpenTelemetry({
    meter: provider.getMeter('test'),
    caches: { users: cache },
  });
  cache.set('a', 1);
  await reader.forceFlush();
  const [exported] = exporter.getMetrics();
  const found = exported?.scopeMetrics[0]?.metrics.find(
    ({ descriptor }) => descriptor.name === 'cache_sets_total',
  );
  expect(found?.dataPoints).toMatchObject([{ attributes: { cache: 'users' }, value: 1 }]);
  unregister();
  await provider.shutdown();
});

test('a cache with Redis has numbers of its tier, and one without has none', async () => {
  const client = new Redis({ port: 1, lazyConnect: true });
  const cache = createTieredCache({ redis: { client, namespace: 'metrics' } });
  const registry = new Registry();
  registerCacheMetrics({ registry, caches: { shared: cache, own: createMemoryCache() } });
  await cache.delete('key');
  const text = await registry.metrics();
  expect(text).toMatch(/^cache_redis_connected\{cache="shared"\} 0$/m);
  expect(text).toMatch(/^cache_redis_pending\{cache="shared"\} 1$/m);
  expect(text).toMatch(/^cache_redis_writes_total\{cache="shared",result="refused"\} 0$/m);
  expect(text).not.toMatch(/^cache_redis_.*cache="own"/m);
  await cache.close();
});

test.each([
  ['an unknown option', { cache: {} }, 'cache'],
  ['a value that is not a cache', { caches: { users: {} } }, 'caches'],
])('%s is refused by name', (_, options, field) => {
  const all = { registry: new Registry(), ...options };
  expect(() => Reflect.apply(registerCacheMetrics, undefined, [all])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});
