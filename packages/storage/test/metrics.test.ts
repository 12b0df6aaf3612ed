import { expect, test } from '@jest/globals';
import { registerStorageMetrics as registerForOpenTelemetry } from '@holdfast/storage/opentelemetry';
import { registerStorageMetrics } from '@holdfast/storage/prometheus';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Registry } from 'prom-client';
import { AWAY, openTestStorage } from './open-storage.ts';

test('Prometheus reads a storage’s numbers when it scrapes, and none after the storage is removed', async () => {
  const { storage, clock, primary } = await openTestStorage();
  const registry = new Registry();
  const storages = { avatars: storage };
  const unregister = registerStorageMetrics({ registry, storages, prefix: 'app_' });
  await clock.settle(storage.upload('a', 'four'));
  primary.intercept = () => ({ before: AWAY });
  for (let write = 0; write < 4; write += 1) await clock.settle(storage.upload(`k${write}`, 'x'));
  const text = await registry.metrics();
  const of = (name: string, value: number): RegExp =>
    new RegExp(`^app_storage_${name}\\{storage="avatars"\\} ${value}$`, 'm');
  expect(text).toMatch(of('accepted_total', 5));
  expect(text).toMatch(of('accepted_bytes_total', 8));
  expect(text).toMatch(of('pending_writes', 4));
  expect(text).toMatch(of('health', 1));
  const ofBackend = (name: string, backend: string, value: number): RegExp =>
    new RegExp(
      `^app_storage_backend_${name}\\{storage="avatars",backend="${backend}"\\} ${value}$`,
      'm',
    );
  expect(text).toMatch(ofBackend('state', 'primary', 2));
  expect(text).toMatch(ofBackend('puts_total', 'mirror', 5));
  expect(await registry.metrics()).toBe(text);
  unregister();
  unregister();
  expect(await registry.metrics()).not.toContain('storage');
  await storage.close({ deadlineMs: 0 });
});

test('OpenTelemetry reads the same numbers by the same names', async () => {
  const { storage, clock } = await openTestStorage();
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 });
  const provider = new MeterProvider({ readers: [reader] });
  const meter = provider.getMeter('test');
  const unregister = registerForOpenTelemetry({ meter, storages: { avatars: storage } });
  await clock.settle(storage.upload('a', 'x'));
  await reader.forceFlush();
  const [exported] = exporter.getMetrics();
  const found = exported?.scopeMetrics[0]?.metrics.find(
    ({ descriptor }) => descriptor.name === 'storage_backend_puts_total',
  );
  expect(found?.dataPoints).toMatchObject([
    { attributes: { storage: 'avatars', backend: 'primary' }, value: 1 },
    { attributes: { storage: 'avatars', backend: 'mirror' }, value: 1 },
  ]);
  unregister();
  await provider.shutdown();
  await storage.close();
});

test.each([
  ['an unknown option', { storage: {} }, 'storage'],
  ['a value that is not a storage', { storages: { avatars: {} } }, 'storages'],
])('%s is refused by name', (_, options, field) => {
  const all = { registry: new Registry(), ...options };
  expect(() => Reflect.apply(registerStorageMetrics, undefined, [all])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});
