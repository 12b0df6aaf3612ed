import { describe, expect, test } from '@jest/globals';
import {
  type SimulatedService,
  type Simulator,
  createSimulatedService,
  createSimulator,
  randomIncidents,
} from '../../src/simulator.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

interface World {
  readonly simulator: Simulator;
  readonly service: SimulatedService;
}

function worldOf(seed: number, incidents = 0): World {
  const simulator = createSimulator({ seed });
  const service = createSimulatedService(simulator);
  const random = simulator.random('incidents');
  for (const incident of randomIncidents(random, ['database', 'cache'], { count: incidents })) {
    service.schedule(incident);
  }
  return { simulator, service };
}

async function dayOf(seed: number): Promise<{ digest: string; availability: number }> {
  const { simulator, service } = worldOf(seed, 200);
  await simulator.run(DAY_MS);
  return { digest: simulator.digest(), availability: service.getStats().availability };
}

describe('a simulated day', () => {
  test('is the same for the same seed, and another for another', async () => {
    const [one, same, other] = [await dayOf(7), await dayOf(7), await dayOf(8)];
    expect(same).toEqual(one);
    expect(other.digest).not.toBe(one.digest);
    expect(one.availability).toBeGreaterThan(0);
    expect(one.availability).toBeLessThan(1);
  });

  test('without incidents serves every request', async () => {
    const { simulator, service } = worldOf(1);
    await simulator.run(DAY_MS);
    const { offered, served, availability } = service.getStats();
    expect(offered).toBeGreaterThan(0);
    expect(served).toBeCloseTo(offered, 3);
    expect(availability).toBeCloseTo(1, 9);
  });

  test('draws the numbers of one part apart from those of another', () => {
    const { simulator } = worldOf(3);
    const alone = simulator.random('limiter')();
    simulator.random('health')();
    expect(createSimulator({ seed: 3 }).random('limiter')()).toBe(alone);
    expect(createSimulator({ seed: 3 }).random('health')()).not.toBe(alone);
  });

  test('keeps the newest entries of its trace, and a digest of all', async () => {
    const simulator = createSimulator({ maxTraceEntries: 10 });
    simulator.every(1_000, () => simulator.record('tick'));
    await simulator.run(60_000);
    expect(simulator.trace().map(({ atMs }) => atMs)).toEqual(
      Array.from({ length: 10 }, (_, index) => 51_000 + index * 1_000),
    );
  });
});

describe('incidents', () => {
  test('a crashed instance fails its share until it is out of rotation, and serves after a restart', async () => {
    const { simulator, service } = worldOf(1);
    service.schedule({
      atMs: 500,
      durationMs: HOUR_MS,
      effect: { kind: 'crash', instance: 3 },
    });
    await simulator.run(10_000);
    expect(service.metrics().errorRate).toBeCloseTo(0.1, 6);
    expect(service.instances()[3]).toMatchObject({ state: 'crashed', answers: false });
    service.setRotation(3, false);
    await simulator.run(1_000);
    expect(service.metrics().errorRate).toBeCloseTo(0, 6);
    service.restart(3);
    expect(service.instances()[3]?.state).toBe('starting');
    await simulator.run(30_000);
    expect(service.instances()[3]).toMatchObject({ state: 'running', answers: true });
  });

  test('a leak ends in a crash; a host that is slow stays slow after a restart', async () => {
    const { simulator, service } = worldOf(1);
    const durationMs = DAY_MS;
    service.schedule({ atMs: 0, durationMs, effect: { kind: 'leak', instance: 0, perHour: 1 } });
    const slow = { kind: 'slow', instance: 1, capacityFactor: 0.1, onHost: true } as const;
    service.schedule({ atMs: 0, durationMs, effect: slow });
    await simulator.run(HOUR_MS);
    expect(service.instances()[0]?.state).toBe('crashed');
    service.restart(1);
    await simulator.run(60_000);
    expect(service.instances()[1]?.errorRate).toBeGreaterThan(0.3);
  });

  test('without a critical dependency nothing is served, without an optional one answers are degraded', async () => {
    const { simulator, service } = worldOf(1);
    const down = (dependency: string, atMs: number): void =>
      service.schedule({
        atMs,
        durationMs: 60_000,
        effect: { kind: 'dependency-down', dependency },
      });
    down('cache', 0);
    down('database', 120_000);
    await simulator.run(100_000);
    expect(service.getStats().failed).toBeCloseTo(0, 6);
    expect(service.getStats().degraded).toBeGreaterThan(0);
    expect(service.dependency('cache').kind).toBe('up');
    await simulator.run(50_000);
    expect(service.metrics().errorRate).toBe(1);
  });

  test('instances are added up to the bound, and the last is never removed', async () => {
    const { simulator } = worldOf(1);
    const service = createSimulatedService(simulator, { instances: 1, maxInstances: 2 });
    expect(service.remove(0)).toBe(false);
    expect([service.add(), service.add()]).toEqual([1, undefined]);
    expect(service.remove(0)).toBe(true);
    expect(service.instances().map(({ state }) => state)).toEqual(['starting']);
  });

  test('requests that are not admitted are counted apart and cost nothing', async () => {
    const { simulator } = worldOf(1);
    const service = createSimulatedService(simulator, { load: () => 4_000 });
    service.admit((offered) => offered / 4);
    await simulator.run(10_000);
    expect(service.getStats()).toMatchObject({ offered: 40_000, shed: 30_000, served: 10_000 });
  });

  test('an unknown option or dependency is refused by name', () => {
    const { simulator, service } = worldOf(1);
    expect(() => service.dependency('mail')).toThrow('database, cache');
    expect(() => createSimulatedService(simulator, { critical: ['a', 'a'] })).toThrow('critical');
    expect(() => createSimulator({ seed: -1 })).toThrow('seed');
  });
});
