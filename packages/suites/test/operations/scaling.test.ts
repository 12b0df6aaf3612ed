import { expect, test } from '@jest/globals';
import { createScalingRecommender } from '@holdfast/operations';
import { createSimulatedService, createSimulator } from '@holdfast/operations/simulator';

test('over a simulated day the service has what it needs, and does not flap', async () => {
  const simulator = createSimulator({ seed: 18 });
  const DAY_MS = 86_400_000;
  const wave = (nowMs: number): number => 600 - 500 * Math.cos((2 * Math.PI * nowMs) / DAY_MS);
  const service = createSimulatedService(simulator, { instances: 4, stepMs: 15_000, load: wave });
  const recommender = createScalingRecommender({ min: 2, max: 40, stabilizeDownMs: 600_000 });
  let [changes, most] = [0, 0];
  simulator.every(30_000, () => {
    const ids = service.instances().map(({ id }) => id);
    const { utilization, starting } = service.metrics();
    const current = starting > 0 ? undefined : utilization;
    const metric = { name: 'utilization', target: 0.6, current };
    const { replicas } = recommender.recommend(ids.length, [metric], simulator.clock.now());
    if (replicas !== ids.length) changes += 1;
    for (let more = ids.length; more < replicas; more += 1) service.add();
    for (const id of ids.slice(replicas)) service.remove(id);
    most = Math.max(most, replicas);
  });
  await simulator.run(DAY_MS);
  expect(service.getStats().availability).toBeGreaterThan(0.999);
  expect(most).toBeLessThan(30);
  expect(changes).toBeLessThan(100);
  expect(service.instances().length).toBeLessThan(8);
});
