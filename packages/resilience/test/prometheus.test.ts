import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, jest, test } from '@jest/globals';
import { Counter, type OpenMetricsContentType, Registry } from 'prom-client';
import { nextEvent } from '@holdfast/foundation';
import {
  createBulkhead,
  createCircuitBreaker,
  createKeyedCircuitBreakers,
  createResilienceStack,
} from '@holdfast/resilience';
import { type MeasuredPolicies, registerPrometheusMetrics } from '@holdfast/resilience/prometheus';
import { createFakeClock } from '@holdfast/foundation/testing';
import { everyPolicy } from './every-policy.ts';
import { type Exposition, readExposition } from './exposition.ts';

const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
const failing = (): Promise<never> => Promise.reject(refused);

function register(measured: MeasuredPolicies): () => Promise<Exposition> {
  const registry = new Registry();
  registerPrometheusMetrics({ registry, ...measured });
  return async () => readExposition(await registry.metrics());
}

/** The samples of one metric, by what stands in their braces. */
function samplesOf({ samples }: Exposition, metric: string): Record<string, number> {
  const found = [...samples].filter(([series]) => series.startsWith(`${metric}{`));
  return Object.fromEntries(found.map(([series, value]) => [series.slice(metric.length), value]));
}

test('before the first call every policy is published: circuits closed, counters at zero', async () => {
  const { clock, measured } = everyPolicy();
  const scraped = await register(measured)();
  expect(samplesOf(scraped, 'circuit_breaker_state')).toEqual({
    '{name="portal"}': 0,
    '{name="upstream"}': 0,
    '{name="gateways"}': 0,
  });
  expect(scraped.samples.get('circuit_breaker_last_state_change{name="upstream"}')).toBe(
    clock.epochMs() / 1_000,
  );
  const counters = [...scraped.metrics].filter(([, { kind }]) => kind === 'counter');
  expect(counters.length).toBeGreaterThan(15);
  for (const [name] of counters) {
    const values = Object.values(samplesOf(scraped, name));
    expect({ name, values: new Set(values) }).toEqual({ name, values: new Set([0]) });
  }
});

test('the numbers of the guide change as calls are made', async () => {
  const { clock, stack, measured } = everyPolicy();
  const scrape = register(measured);
  let attempts = 0;
  const flaky = async (): Promise<string> => {
    attempts += 1;
    if (attempts === 1) throw refused;
    return 'ok';
  };
  await clock.settle(stack.execute('wi', flaky));
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = stack.execute('wi', () => promise);
  const waiting = stack.execute('wi', async () => 'ok');
  await clock.advance(0);
  const shed = await stack.tryExecute('wi', async () => 'ok');
  expect(shed).toMatchObject({ kind: 'refused', policy: 'bulkhead' });
  const { samples } = await scrape();
  expect(Object.fromEntries(samples)).toMatchObject({
    'circuit_breaker_state{name="portal",key="wi"}': 0,
    'circuit_breaker_results_total{name="portal",result="failure"}': 1,
    'circuit_breaker_results_total{name="portal",result="success"}': 1,
    'retry_attempts_total{operation="portal"}': 1,
    'retry_successes_total{operation="portal"}': 1,
    'bulkhead_active{name="portal"}': 1,
    'bulkhead_queued{name="portal"}': 1,
    'bulkhead_rejected_total{name="portal"}': 1,
    'rate_limiter_granted_total{name="portal"}': 4,
    'resilience_stack_health{name="portal"}': 2,
    'resilience_stack_results_total{name="portal",result="success"}': 1,
    'resilience_stack_results_total{name="portal",result="refused"}': 1,
  });
  resolve('ok');
  await Promise.all([running, waiting]);
  expect(samplesOf(await scrape(), 'bulkhead_active')).toMatchObject({ '{name="portal"}': 0 });
});

test('an attempt that timed out is counted for its stack', async () => {
  const { clock, stack, measured } = everyPolicy();
  const scrape = register(measured);
  await clock.settle(stack.tryExecute(() => new Promise<never>(() => undefined)));
  const { samples } = await scrape();
  expect(samples.get('resilience_stack_timeouts_total{name="portal"}')).toBe(1);
});

test('traffic that never fails has no retry rate, however much it is', async () => {
  const { stack, measured } = everyPolicy();
  const scrape = register(measured);
  for (let call = 0; call < 50; call += 1) await stack.execute(async () => 'ok');
  const { samples } = await scrape();
  expect(samples.get('retry_attempts_total{operation="portal"}')).toBe(0);
  expect(samples.get('retry_calls_total{operation="portal"}')).toBe(50);
});

test('an open circuit reads 1, with the moment at which it opened', async () => {
  const { clock, breaker, measured } = everyPolicy();
  const scrape = register(measured);
  await clock.advance(5_000);
  await breaker.tryExecute(failing);
  const openedSeconds = clock.epochMs() / 1_000;
  await breaker.tryExecute(failing);
  await clock.advance(400_000);
  const { samples } = await scrape();
  expect(samples.get('circuit_breaker_state{name="upstream"}')).toBe(1);
  expect(samples.get('circuit_breaker_last_state_change{name="upstream"}')).toBe(openedSeconds);
  expect(samples.get('circuit_breaker_rejected_total{name="upstream"}')).toBe(1);
});

test('every state of a circuit has a number of its own', async () => {
  const clock = createFakeClock();
  const breaker = createCircuitBreaker({ name: 'a', openDurationMs: 10, clock });
  const scrape = register({ breakers: [breaker] });
  const read = async (): Promise<number | undefined> =>
    (await scrape()).samples.get('circuit_breaker_state{name="a"}');
  const seen = [await read()];
  breaker.forceOpen();
  seen.push(await read());
  await clock.advance(10);
  breaker.tryAcquire();
  seen.push(await read());
  breaker.isolate();
  seen.push(await read());
  breaker.observe();
  seen.push(await read());
  expect(seen).toEqual([0, 1, 2, 3, 4]);
  expect(samplesOf(await scrape(), 'circuit_breaker_circuits')).toEqual({
    '{name="a",state="closed"}': 0,
    '{name="a",state="open"}': 0,
    '{name="a",state="half-open"}': 0,
    '{name="a",state="isolated"}': 0,
    '{name="a",state="metrics-only"}': 1,
  });
});

test('of a million keys only maxKeyLabels have a series, failing keys first', async () => {
  const circuits = createKeyedCircuitBreakers({ failureThreshold: 1, maxKeys: 1_000 });
  const scrape = register({ keyedBreakers: { portals: circuits }, maxKeyLabels: 3 });
  for (let key = 0; key < 1_000; key += 1) circuits.get(`key-${key}`);
  expect(Object.keys(samplesOf(await scrape(), 'circuit_breaker_state'))).toHaveLength(4);
  for (const key of ['x', 'y']) await circuits.get(key).tryExecute(failing);
  for (let key = 0; key < 1_000_000; key += 1) circuits.get(`key-${key}`);
  const scraped = await scrape();
  const states = samplesOf(scraped, 'circuit_breaker_state');
  expect(Object.keys(states)).toHaveLength(4);
  expect(states).toMatchObject({
    '{name="portals"}': 0,
    '{name="portals",key="x"}': 1,
    '{name="portals",key="y"}': 1,
  });
  expect(samplesOf(scraped, 'circuit_breaker_circuits')).toMatchObject({
    '{name="portals",state="closed"}': 998,
    '{name="portals",state="open"}': 2,
  });
  expect(scraped.samples.size).toBeLessThan(30);
});

test('a key keeps its series from scrape to scrape while others come and go', async () => {
  const circuits = createKeyedCircuitBreakers({ maxKeys: 100 });
  const scrape = register({ keyedBreakers: { portals: circuits }, maxKeyLabels: 2 });
  for (const key of ['a', 'b']) circuits.get(key);
  const first = Object.keys(samplesOf(await scrape(), 'circuit_breaker_state'));
  for (let key = 0; key < 50; key += 1) circuits.get(`key-${key}`);
  for (const key of ['b', 'a']) circuits.get(key);
  expect(Object.keys(samplesOf(await scrape(), 'circuit_breaker_state'))).toEqual(first);
  expect(first).toContain('{name="portals",key="a"}');
});

test('keys that must not be published are not, yet all of their circuits are counted', async () => {
  const circuits = createKeyedCircuitBreakers({ failureThreshold: 1 });
  const scrape = register({ keyedBreakers: { users: circuits }, maxKeyLabels: 0 });
  await circuits.get('alice@example.org').tryExecute(failing);
  const scraped = await scrape();
  expect([...scraped.samples.keys()].filter((series) => series.includes('alice'))).toEqual([]);
  expect(samplesOf(scraped, 'circuit_breaker_circuits')).toMatchObject({
    '{name="users",state="open"}': 1,
  });
});

test('a key of a kilobyte is counted, but makes no series', async () => {
  const circuits = createKeyedCircuitBreakers();
  const scrape = register({ keyedBreakers: { urls: circuits } });
  circuits.get('k'.repeat(1_024));
  const scraped = await scrape();
  expect(Object.keys(samplesOf(scraped, 'circuit_breaker_state'))).toEqual(['{name="urls"}']);
  expect(samplesOf(scraped, 'circuit_breaker_circuits')).toMatchObject({
    '{name="urls",state="closed"}': 1,
  });
});

test('the counters of a set never fall when circuits make room for others or are reset', async () => {
  const circuits = createKeyedCircuitBreakers({ maxKeys: 2 });
  const scrape = register({ keyedBreakers: { portals: circuits } });
  let latest = 0;
  for (const key of ['a', 'a', 'a', 'b', 'c', 'd', 'a', 'a', 'e']) {
    await circuits.get(key).execute(async () => 'ok');
    const series = 'circuit_breaker_results_total{name="portals",result="success"}';
    const now = (await scrape()).samples.get(series) ?? 0;
    expect(now).toBe(latest + 1);
    latest = now;
  }
  circuits.reset();
  const scraped = await scrape();
  expect(samplesOf(scraped, 'circuit_breaker_results_total')).toMatchObject({
    '{name="portals",result="success"}': latest,
  });
  expect(samplesOf(scraped, 'circuit_breaker_evicted_total')).toEqual({ '{name="portals"}': 4 });
});

test('unregistering takes out what was registered, and nothing else', async () => {
  const registry = new Registry();
  const own = new Counter({ name: 'own_total', help: 'mine', registers: [registry] });
  const unregister = registerPrometheusMetrics({ registry, ...everyPolicy().measured });
  expect(registry.getMetricsAsArray().length).toBeGreaterThan(30);
  unregister();
  expect(registry.getMetricsAsArray()).toEqual([own]);
  const later = registerPrometheusMetrics({ registry, ...everyPolicy().measured });
  unregister();
  expect(registry.getMetricsAsArray().length).toBeGreaterThan(30);
  later();
  expect(registry.getMetricsAsArray()).toEqual([own]);
});

test('registering anew with one policy more forgets nothing', async () => {
  const registry = new Registry();
  const first = createBulkhead({ name: 'first' });
  const unregister = registerPrometheusMetrics({ registry, bulkheads: [first] });
  await first.execute(async () => 'ok');
  unregister();
  const second = createBulkhead({ name: 'second' });
  registerPrometheusMetrics({ registry, bulkheads: [first, second] });
  const scraped = readExposition(await registry.metrics());
  expect(samplesOf(scraped, 'bulkhead_completed_total')).toEqual({
    '{name="first"}': 1,
    '{name="second"}': 0,
  });
});

test('a second registration is refused as a whole, and the error says what to do', async () => {
  const registry = new Registry();
  const stack = createResilienceStack({ bulkhead: {} });
  registerPrometheusMetrics({ registry, bulkheads: [createBulkhead()] });
  const before = registry.getMetricsAsArray();
  expect(() => registerPrometheusMetrics({ registry, stacks: [stack] })).toThrow(
    expect.objectContaining({
      code: 'METRICS_REGISTERED',
      metric: 'bulkhead_active',
      message: expect.stringMatching(/one registration.*unregister.*prefix/),
    }),
  );
  expect(registry.getMetricsAsArray()).toEqual(before);
  registerPrometheusMetrics({ registry, stacks: [stack], prefix: 'second_' });
  expect(registry.getSingleMetric('second_bulkhead_active')).toBeDefined();
});

test('two policies of one kind and one name are refused, inside of stacks too', () => {
  const registry = new Registry();
  const stacks = [createResilienceStack({ name: 'portal', bulkhead: {} })];
  const attempt = (measured: MeasuredPolicies) => () =>
    registerPrometheusMetrics({ registry, ...measured });
  expect(attempt({ stacks, bulkheads: [createBulkhead({ name: 'portal' })] })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'bulkheads', value: 'portal' }),
  );
  expect(attempt({ breakers: [createCircuitBreaker(), createCircuitBreaker()] })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'breakers' }),
  );
  expect(attempt({ stacks: [...stacks, ...stacks] })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'stacks' }),
  );
  expect(registry.getMetricsAsArray()).toEqual([]);
});

test.each([
  { field: 'prefix', options: { prefix: '1st_' } },
  { field: 'prefix', options: { prefix: 'a'.repeat(65) } },
  { field: 'maxKeyLabels', options: { maxKeyLabels: 1_001 } },
  { field: 'stacks', options: { stacks: 'portal' } },
  { field: 'stacks[0]', options: { stacks: [{}] } },
  { field: 'hedges', options: { hedges: [] } },
  { field: 'hedges.reads', options: { hedges: { reads: null } } },
  { field: 'registry', options: { registry: {} } },
  { field: 'labels', options: { labels: {} } },
])('an unknown or invalid option is rejected by its name: $options', ({ field, options }) => {
  const given = { registry: new Registry(), ...options };
  expect(() => Reflect.apply(registerPrometheusMetrics, undefined, [given])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test('a registry of the other format shows the same counters, also as JSON', async () => {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const unregister = registerPrometheusMetrics({ registry, ...everyPolicy().measured });
  const text = await registry.metrics();
  expect(text).toContain('\nretry_attempts_total{operation="portal"} 0\n');
  expect(text.endsWith('# EOF\n')).toBe(true);
  registry.setDefaultLabels({ zone: 'a' });
  const json = JSON.stringify(await registry.getMetricsAsJSON());
  expect(json).toContain('{"labels":{"name":"disk","zone":"a"},"value":0}');
  unregister();
  expect(registry.getMetricsAsArray()).toEqual([]);
});

test('the metrics of one scrape are one reading, and the next scrape is another', async () => {
  const bulkhead = createBulkhead({ name: 'disk' });
  const getStats = jest.fn(() => bulkhead.getStats());
  const scrape = register({ bulkheads: [{ ...bulkhead, getStats }] });
  await Promise.all([scrape(), scrape()]);
  expect(getStats).toHaveBeenCalledTimes(1);
  await scrape();
  expect(getStats).toHaveBeenCalledTimes(2);
});

test('reading the circuits of many keys yields to other work', async () => {
  const circuits = createKeyedCircuitBreakers({ failureThreshold: 1 });
  for (let key = 0; key < 5_000; key += 1) circuits.get(`key-${key}`);
  const scrape = register({ keyedBreakers: { portals: circuits } });
  let isScraped = false;
  const scraping = scrape().finally(() => (isScraped = true));
  const opened = nextEvent(circuits, 'stateChanged');
  setImmediate(() => void circuits.get('key-1').tryExecute(failing));
  await opened;
  expect(isScraped).toBe(false);
  const { samples } = await scraping;
  const states = ['closed', 'open'].map((state) =>
    samples.get(`circuit_breaker_circuits{name="portals",state="${state}"}`),
  );
  expect(states[0]).toBe(5_000 - (states[1] ?? 0));
});

/** Prints which libraries of metrics the modules behind `specifier` ask for themselves. */
const script = (specifier: string): string => `
  import { registerHooks } from 'node:module';
  const asked = new Set();
  registerHooks({
    resolve(name, context, next) {
      if (!context.parentURL?.includes('node_modules')) asked.add(name);
      return next(name, context);
    },
  });
  await import(${JSON.stringify(import.meta.resolve(specifier))});
  console.log([...asked].filter((name) => /^(?:prom-client|@opentelemetry.*)$/.test(name)).join());
`;

test.each([
  ['@holdfast/resilience', ''],
  ['@holdfast/resilience/opentelemetry', ''],
  ['@holdfast/resilience/prometheus', 'prom-client'],
])('importing %s loads no library of metrics but: %s', async (specifier, loaded) => {
  const options = ['--input-type=module', '--eval', script(specifier)];
  const { stdout } = await promisify(execFile)(process.execPath, options);
  expect(stdout).toBe(`${loaded}\n`);
});
