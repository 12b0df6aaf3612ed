import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type ScalingMetric,
  createAutoscaler,
  createScalingRecommender,
} from '@holdfast/operations';

const MINUTE_MS = 60_000;
const cpu = (current: number | undefined): ScalingMetric => ({ name: 'cpu', target: 0.5, current });

test('the metric that asks for most decides, within the bounds and one step', () => {
  const recommender = createScalingRecommender({ max: 30 });
  const queue = { name: 'queue', target: 100, current: 150 };
  expect(recommender.recommend(10, [cpu(0.4), queue], 0)).toEqual({
    replicas: 15,
    reason: 'up',
    metric: 'queue',
  });
  expect(recommender.recommend(10, [cpu(1)], 1)).toMatchObject({ replicas: 20, reason: 'up' });
  expect(recommender.recommend(4, [cpu(5)], 2)).toMatchObject({ replicas: 8 });
  expect(recommender.recommend(30, [cpu(5)], 3)).toMatchObject({
    replicas: 30,
    reason: 'at-maximum',
  });
});

test('within the tolerance nothing changes', () => {
  const recommender = createScalingRecommender({ max: 30 });
  expect(recommender.recommend(10, [cpu(0.54)], 0)).toMatchObject({
    replicas: 10,
    reason: 'within-tolerance',
  });
});

test('down only to the highest recommendation of the window', () => {
  const recommender = createScalingRecommender({ max: 30, maxDownShare: 1 });
  expect(recommender.recommend(10, [cpu(0.5)], 0)).toMatchObject({ replicas: 10 });
  expect(recommender.recommend(10, [cpu(0.1)], MINUTE_MS)).toMatchObject({
    replicas: 10,
    reason: 'stabilizing',
  });
  expect(recommender.recommend(10, [cpu(0.3)], 2 * MINUTE_MS)).toMatchObject({ replicas: 10 });
  expect(recommender.recommend(10, [cpu(0.1)], 5.5 * MINUTE_MS)).toMatchObject({
    replicas: 6,
    reason: 'down',
  });
});

test('a missing metric never scales down, and does not keep the others from scaling up', () => {
  const recommender = createScalingRecommender({ max: 30, stabilizeDownMs: 0 });
  const queue = (current: number): ScalingMetric => ({ name: 'queue', target: 100, current });
  expect(recommender.recommend(10, [cpu(undefined), queue(1)], 0)).toMatchObject({
    replicas: 10,
    reason: 'metric-missing',
  });
  expect(recommender.recommend(10, [], 1)).toMatchObject({
    replicas: 10,
    reason: 'metric-missing',
  });
  expect(recommender.recommend(10, [cpu(undefined), queue(200)], 2)).toMatchObject({
    replicas: 20,
  });
});

test('more than the maximum goes down to it at once, and less than the minimum up to it', () => {
  const recommender = createScalingRecommender({ min: 3, max: 5 });
  expect(recommender.recommend(9, [cpu(0.5)], 0)).toMatchObject({ replicas: 5, reason: 'down' });
  expect(recommender.recommend(2, [cpu(0.1)], 1)).toMatchObject({ replicas: 3, reason: 'up' });
});

test('from no replicas at all it goes up to the minimum', () => {
  const recommender = createScalingRecommender({ min: 2, max: 30 });
  expect(recommender.recommend(0, [cpu(undefined)], 0)).toMatchObject({
    replicas: 2,
    reason: 'up',
  });
  expect(recommender.recommend(0, [cpu(0)], 1)).toMatchObject({ replicas: 2, reason: 'up' });
});

test.each([NaN, -1, 1.5, Infinity])('%p is no number of replicas', (current) => {
  const recommender = createScalingRecommender({ max: 30 });
  expect(() => recommender.recommend(current, [cpu(0.5)], 0)).toThrow(
    /current .*whole number from 0/,
  );
});

test('what cannot be a metric or a bound is refused', () => {
  expect(() => createScalingRecommender({ min: 5, max: 3 })).toThrow(
    expect.objectContaining({ field: 'min' }),
  );
  const recommender = createScalingRecommender({ max: 3 });
  for (const current of [Number.NaN, -1, Infinity]) {
    expect(() => recommender.recommend(1, [cpu(current)], 0)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  }
});

test('an autoscaler whose metrics fail or hang holds the number, and goes on', async () => {
  const clock = createFakeClock();
  let replicas = 4;
  const answers: (() => Promise<ScalingMetric[]>)[] = [
    () => Promise.reject(new Error('away')),
    () => new Promise(() => {}),
    () => Promise.resolve([cpu(1)]),
  ];
  const autoscaler = createAutoscaler({
    max: 10,
    stabilizeDownMs: 0,
    target: {
      read: () => Promise.resolve(replicas),
      write: (wanted) => Promise.resolve(void (replicas = wanted)),
    },
    metrics: () => (answers.shift() ?? (() => Promise.resolve([cpu(0.5)])))(),
    clock,
  });
  const seen: unknown[] = [];
  autoscaler.on('held', ({ reason }) => seen.push(reason));
  autoscaler.on('scaled', ({ to }) => seen.push(to));
  await clock.advance(1_000);
  await clock.advance(60_000);
  expect(seen.slice(0, 3)).toEqual(['metric-missing', 'metric-missing', 8]);
  await autoscaler.close();
  await autoscaler.close();
  expect(clock.pendingTimers).toBe(0);
});
