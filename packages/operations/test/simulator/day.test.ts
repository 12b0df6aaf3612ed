import { expect, test } from '@jest/globals';
import {
  createDistributedRateLimiter,
  createGracefulDegradation,
  createHealth,
  createLoadShedder,
} from '@holdfast/operations';
import {
  type SimulatedService,
  type Simulator,
  createSimulatedService,
  createSimulator,
  randomIncidents,
} from '../../src/simulator.ts';
import { FakeRateServer } from '../limiter/fake-rate-store.ts';

const DAY_MS = 86_400_000;
const INSTANCES = 6;
/** Of the processor: the machine may have other work. */
const MOST_CPU_MS = 10_000;
const US_PER_MS = 1_000;

interface DayResult {
  readonly digest: string;
  readonly availability: number;
  readonly changes: number;
  readonly rotations: number;
  readonly allowed: number;
  readonly shed: number;
}

/** The health of each instance takes it out of rotation, and brings it back; a restart follows its crash. */
function watch(simulator: Simulator, service: SimulatedService, id: number): () => void {
  const { clock } = simulator;
  const stateOf = () => service.instances().find((instance) => instance.id === id);
  const health = createHealth({
    clock,
    random: simulator.random(`health-${id}`),
    intervalMs: 10_000,
    components: {
      instance: {
        group: 'services',
        check: () => ({ status: stateOf()?.answers === true ? 'pass' : 'fail' }),
      },
    },
  });
  health.on('readiness-changed', ({ isReady }) => {
    service.setRotation(id, isReady);
    if (!isReady) service.restart(id);
  });
  return () => health.close();
}

async function day(seed: number, isWatched: boolean): Promise<DayResult> {
  const simulator = createSimulator({ seed });
  const { clock } = simulator;
  const service = createSimulatedService(simulator, { instances: INSTANCES });
  const options = { count: 60, instances: INSTANCES };
  const incidents = randomIncidents(simulator.random('incidents'), ['database', 'cache'], options);
  for (const incident of incidents) service.schedule(incident);
  const closings = isWatched
    ? service.instances().map(({ id }) => watch(simulator, service, id))
    : [];
  const degradation = createGracefulDegradation({
    clock,
    features: { database: {}, cache: {}, search: { needs: ['database'], prefers: ['cache'] } },
  });
  degradation.on('changed', ({ feature, to }) => simulator.record('feature', { feature, to }));
  const server = new FakeRateServer(clock);
  const limiter = createDistributedRateLimiter({
    clock,
    store: server.connect(),
    limit: 60,
    burst: 10,
    load: () => service.metrics().utilization / 2,
  });
  limiter.on('store-lost', () => simulator.record('store-lost'));
  const shedder = createLoadShedder({
    clock,
    random: simulator.random('shedder'),
    watermarks: { capacity: { read: () => service.metrics().utilization } },
  });
  simulator.every(10_000, () => {
    for (const name of ['database', 'cache']) {
      const isUp = service.dependency(name).kind !== 'down';
      if (isUp) degradation.restoreFeature(name);
      else if (degradation.report(name).own === 'on') degradation.degradeFeature(name, 'down');
    }
    if (service.dependency('cache').kind === 'down') server.freeze();
    else server.thaw();
    void limiter.consume('a');
    shedder.execute(() => {}, { priority: 'background' }).catch(() => simulator.record('shed'));
  });
  await simulator.run(DAY_MS);
  for (const close of closings) close();
  degradation.close();
  limiter.close();
  return {
    digest: simulator.digest(),
    availability: service.getStats().availability,
    changes: degradation.getStats().changes,
    rotations: simulator.trace().filter(({ kind }) => kind === 'rotation-changed').length,
    allowed: limiter.getStats().allowed,
    shed: shedder.getStats().shed.background,
  };
}

test('a day of incidents under health, limiter, degradation and shedding takes seconds, the same for the same seed', async () => {
  const before = process.cpuUsage();
  const first = await day(11, true);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / US_PER_MS).toBeLessThan(MOST_CPU_MS);
  expect(await day(11, true)).toEqual(first);
  expect((await day(12, true)).digest).not.toBe(first.digest);
  // All of them had something to decide.
  for (const decided of [first.changes, first.rotations, first.allowed, first.shed]) {
    expect(decided).toBeGreaterThan(0);
  }
});

test('readiness and restarts keep more of the day than nothing at all', async () => {
  const [watched, left] = [await day(11, true), await day(11, false)];
  expect(watched.availability).toBeGreaterThan(left.availability);
});
