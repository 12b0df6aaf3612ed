import { expect, test } from '@jest/globals';
import { registerNetworkMetrics as registerForOpenTelemetry } from '@holdfast/network/opentelemetry';
import { registerNetworkMetrics } from '@holdfast/network/prometheus';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Registry } from 'prom-client';
import { found, openFixture } from './fake-source.ts';

test('Prometheus reads hits, misses, stale answers, their age and failures, and nothing after the metrics are removed', async () => {
  const { resolver, clock, source } = openFixture({ 'a.test 4': found(10_000, '10.0.0.1') });
  const registry = new Registry();
  const resolvers = { names: resolver };
  const unregister = registerNetworkMetrics({ registry, resolvers, prefix: 'app_' });
  const resolve = (name: string): Promise<unknown> =>
    clock.settle(resolver.resolve(name, { family: 4 }).catch(() => undefined));
  await resolve('a.test');
  await resolve('a.test');
  await resolve('absent.test');
  expect(await registry.metrics()).toMatch(/^app_resolver_stale_age_seconds\{.*\} 0$/m);
  source.scripts.set('a.test 4', new Error('SERVFAIL'));
  await clock.advance(12_000);
  await resolve('a.test');
  const text = await registry.metrics();
  const valueOf = (metric: string): string | undefined =>
    new RegExp(String.raw`^app_resolver_${metric} (\S+)$`, 'm').exec(text)?.[1];
  expect(valueOf('calls_total{resolver="names",result="hit"}')).toBe('2');
  expect(valueOf('calls_total{resolver="names",result="miss"}')).toBe('2');
  expect(valueOf('failures_total{resolver="names"}')).toBe('1');
  expect(valueOf('stale_answers_total{resolver="names"}')).toBe('1');
  expect(valueOf('stale_age_seconds{resolver="names"}')).toBe('2');
  expect(valueOf('names{resolver="names"}')).toBe('2');
  source.scripts.set('a.test 4', found(10_000, '10.0.0.1'));
  await clock.advance(5_000);
  await resolve('a.test');
  expect(await registry.metrics()).toMatch(/^app_resolver_stale_age_seconds\{.*\} 0$/m);
  unregister();
  expect(await registry.metrics()).not.toContain('app_');
  await resolver.close();
});

test('OpenTelemetry reads the same numbers under the same names', async () => {
  const { resolver } = openFixture({ 'a.test 4': found(10_000, '10.0.0.1') });
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 });
  const provider = new MeterProvider({ readers: [reader] });
  const unregister = registerForOpenTelemetry({
    meter: provider.getMeter('test'),
    resolvers: { names: resolver },
  });
  await resolver.resolve('a.test', { family: 4 });
  await reader.forceFlush();
  const [exported] = exporter.getMetrics();
  const calls = exported?.scopeMetrics[0]?.metrics.find(
    ({ descriptor }) => descriptor.name === 'resolver_calls_total',
  );
  expect(calls?.dataPoints).toContainEqual(
    expect.objectContaining({ attributes: { resolver: 'names', result: 'miss' }, value: 1 }),
  );
  unregister();
  await provider.shutdown();
  await resolver.close();
});

test.each([
  ['an unknown option', { resolver: {} }, 'resolver'],
  ['a value that is not a resolver', { resolvers: { names: {} } }, 'resolvers'],
])('%s is refused by name', (_, options, field) => {
  const all = { registry: new Registry(), ...options };
  expect(() => Reflect.apply(registerNetworkMetrics, undefined, [all])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});
