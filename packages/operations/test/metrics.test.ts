import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  createDistributedRateLimiter,
  createGracefulDegradation,
  createHealth,
  createLoadShedder,
} from '@holdfast/operations';
import { registerOperationsMetrics } from '@holdfast/operations/prometheus';
import { Registry } from 'prom-client';
import { FakeRateServer } from './limiter/fake-rate-store.ts';

test('Prometheus reads all of it when it scrapes, and nothing after the metrics are removed', async () => {
  const clock = createFakeClock();
  const check = (): never => {
    throw new Error('down');
  };
  const health = createHealth({ clock, components: { db: { group: 'databases', check } } });
  const store = new FakeRateServer(clock).connect();
  const limiter = createDistributedRateLimiter({ clock, store, limit: 10 });
  const degradation = createGracefulDegradation({ clock, features: { search: {} } });
  const shedder = createLoadShedder({ clock });
  const registry = new Registry();
  const unregister = registerOperationsMetrics({
    registry,
    health: { api: health },
    limiters: { users: limiter },
    degradation: { shop: degradation },
    shedders: { api: shedder },
    prefix: 'app_',
  });
  await clock.advance(1);
  degradation.degradeFeature('search', 'old index');
  await limiter.consume('a');
  const text = await registry.metrics();
  expect(text).toMatch(/^app_health_ready\{health="api"\} 0$/m);
  expect(text).toMatch(/^app_health_failing\{health="api"\} 1$/m);
  expect(text).toMatch(/^app_rate_limit_requests_total\{limiter="users",result="limited"\} 1$/m);
  expect(text).toMatch(/^app_features_off\{features="shop"\} 1$/m);
  expect(text).toMatch(/^app_shedding_limit\{shedder="api"\} 20$/m);
  unregister();
  expect(await registry.metrics()).not.toContain('app_');
  for (const part of [health, limiter, degradation, shedder]) part.close();
});
