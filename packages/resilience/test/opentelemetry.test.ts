import { expect, test } from '@jest/globals';
import type { Meter } from '@opentelemetry/api';
import { type DataPoint, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { Registry } from 'prom-client';
import {
  createBulkhead,
  createKeyedCircuitBreakers,
  createResilienceStack,
} from '@holdfast/resilience';
import {
  MetricsRegisteredError,
  registerOpenTelemetryMetrics,
} from '@holdfast/resilience/opentelemetry';
import { registerPrometheusMetrics } from '@holdfast/resilience/prometheus';
import { everyPolicy } from './every-policy.ts';
import { readExposition } from './exposition.ts';

const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

/** Reads only when asked. */
class AskedReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

/** A meter of the real SDK, and what it exports, written as Prometheus would. */
function openMeter(): { meter: Meter; read: () => Promise<ReadonlyMap<string, unknown>> } {
  const reader = new AskedReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter('test');
  const read = async (): Promise<ReadonlyMap<string, unknown>> => {
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([]);
    const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return new Map(
      metrics.flatMap(({ descriptor, dataPoints }) => {
        return dataPoints.map((point) => [series(descriptor.name, point), point.value] as const);
      }),
    );
  };
  return { meter, read };
}

function series(name: string, { attributes }: DataPoint<unknown>): string {
  const labels = Object.entries(attributes).map(([label, value]) => `${label}="${String(value)}"`);
  return `${name}{${labels.join(',')}}`;
}

test('Prometheus and OpenTelemetry publish the same, before the first call and after some', async () => {
  const { clock, stack, breaker, retry, measured } = everyPolicy();
  const { meter, read } = openMeter();
  registerOpenTelemetryMetrics({ meter, ...measured });
  const registry = new Registry();
  registerPrometheusMetrics({ registry, ...measured });
  const scrape = async (): Promise<ReadonlyMap<string, unknown>> =>
    readExposition(await registry.metrics()).samples;
  const first = await read();
  expect(first).toEqual(await scrape());
  expect(first.get('circuit_breaker_state{name="upstream"}')).toBe(0);

  const failing = async (): Promise<never> => {
    throw refused;
  };
  await clock.settle(stack.tryExecute('wi', failing));
  await breaker.tryExecute(failing);
  let attempts = 0;
  const flaky = async (): Promise<number> => {
    attempts += 1;
    if (attempts === 1) throw refused;
    return attempts;
  };
  await clock.settle(retry.execute(flaky));
  const second = await read();
  expect(second).toEqual(await scrape());
  expect(Object.fromEntries(second)).toMatchObject({
    'circuit_breaker_state{name="upstream"}': 1,
    'circuit_breaker_state{name="portal",key="wi"}': 1,
    'retry_attempts_total{operation="sync"}': 1,
    'retry_successes_total{operation="sync"}': 1,
    'retry_exhausted_total{operation="portal"}': 1,
  });
});

test('unregistering ends the readings, twice does nothing, and registering anew forgets nothing', async () => {
  const { meter, read } = openMeter();
  const bulkhead = createBulkhead({ name: 'disk' });
  const completed = async (): Promise<unknown> =>
    (await read()).get('bulkhead_completed_total{name="disk"}');
  const unregister = registerOpenTelemetryMetrics({ meter, bulkheads: [bulkhead] });
  await bulkhead.execute(async () => 'ok');
  expect(await completed()).toBe(1);
  unregister();
  await bulkhead.execute(async () => 'ok');
  // The SDK goes on telling the last value that it was given.
  expect(await completed()).toBe(1);
  const later = registerOpenTelemetryMetrics({ meter, bulkheads: [bulkhead] });
  unregister();
  expect(await completed()).toBe(2);
  later();
  await bulkhead.execute(async () => 'ok');
  expect(await completed()).toBe(2);
});

test('a second registration with the same meter is refused, and the error says what to do', async () => {
  const { meter, read } = openMeter();
  const stacks = [createResilienceStack({ name: 'portal', bulkhead: {} })];
  registerOpenTelemetryMetrics({ meter, bulkheads: [createBulkhead({ name: 'disk' })] });
  const attempt = (): unknown => registerOpenTelemetryMetrics({ meter, stacks });
  expect(attempt).toThrow(MetricsRegisteredError);
  expect(attempt).toThrow(/bulkhead_active.*one registration.*unregister.*prefix/);
  expect((await read()).has('resilience_stack_calls_total{name="portal"}')).toBe(false);
  registerOpenTelemetryMetrics({ meter, stacks, prefix: 'second_' });
  expect((await read()).get('second_bulkhead_active{name="portal"}')).toBe(0);
});

test('a circuit that is forgotten while it is open does not stay open for the reader', async () => {
  const { meter, read } = openMeter();
  const circuits = createKeyedCircuitBreakers();
  registerOpenTelemetryMetrics({ meter, keyedBreakers: { portals: circuits } });
  const state = async (): Promise<unknown> =>
    (await read()).get('circuit_breaker_state{name="portals",key="a"}');
  circuits.get('a').forceOpen();
  expect(await state()).toBe(1);
  circuits.reset();
  expect(circuits.getStats()).toMatchObject({ keys: 0 });
  expect(await state()).toBe(0);
});

test('a label passes to another key only after a reading as closed', async () => {
  const { meter, read } = openMeter();
  const circuits = createKeyedCircuitBreakers();
  registerOpenTelemetryMetrics({ meter, keyedBreakers: { portals: circuits }, maxKeyLabels: 1 });
  const state = async (key: string): Promise<unknown> =>
    (await read()).get(`circuit_breaker_state{name="portals",key="${key}"}`);
  circuits.get('a').forceOpen();
  expect(await state('a')).toBe(1);
  circuits.get('a').reset();
  circuits.get('b').forceOpen();
  expect(await state('a')).toBe(0);
  expect(await state('b')).toBe(1);
});

test('an object that is not a meter is refused', () => {
  const given = { meter: {}, stacks: [] };
  expect(() => Reflect.apply(registerOpenTelemetryMetrics, undefined, [given])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'meter' }),
  );
});
