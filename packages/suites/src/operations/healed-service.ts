import { type HealerStats, createHealer } from '@holdfast/operations';
import {
  type SimulatedService,
  type SimulatedStats,
  createSimulatedService,
  createSimulator,
  randomIncidents,
} from '@holdfast/operations/simulator';

/** One world of a comparison. */
interface HealedWorld {
  readonly seed: number;
  readonly isHealed: boolean;
  /** How many incidents begin within the first twelve minutes. */
  readonly incidents: number;
}

/** What became of it. */
export interface HealedResult {
  readonly stats: SimulatedStats;
  readonly healing: HealerStats | undefined;
  readonly digest: string;
}

const STEP_MS = 10_000;
const RUN_MS = 2_400_000;
const INSTANCES = 10;
const CAPACITY = 100;
const MEMORY_LIMIT = 0.9;
/** The utilization that the others may have without an instance that is restarted. */
const ROOM = 0.85;

/** Runs forty minutes of a service whose balancer follows readiness, with or without healing, and the same incidents. */
export async function runHealedWorld(world: HealedWorld): Promise<HealedResult> {
  const simulator = createSimulator({ seed: world.seed, maxTraceEntries: 10 });
  // From a third of the capacity to nearly all of it.
  const loadPerSecond = INSTANCES * CAPACITY * (0.3 + 0.6 * simulator.random('load')());
  const service = createSimulatedService(simulator, {
    instances: INSTANCES,
    stepMs: STEP_MS,
    load: () => loadPerSecond,
  });
  const incidents = randomIncidents(simulator.random('incidents'), ['database', 'cache'], {
    count: world.incidents,
    withinMs: (RUN_MS * 3) / 10,
    instances: INSTANCES,
  });
  for (const incident of incidents) service.schedule(incident);
  const { clock } = simulator;
  /** Instances that are out of rotation for their restart. */
  const away = new Set<number>();
  const healer = createHealer({
    conditions: {
      silent: { act: restart, hits: 3, of: 3, verifyMs: 90_000 },
      slow: { act: restart, hits: 4, of: 6, verifyMs: 90_000 },
      leaking: { act: restart, hits: 2, of: 3, verifyMs: 90_000 },
    },
    fleetSize: () => service.instances().length,
    hasRoom: (target, condition) => condition === 'silent' || hasRoom(service, Number(target)),
    clock,
  });
  async function restart(target: string): Promise<void> {
    const id = Number(target);
    // Out of rotation first: what it would have served goes to the others.
    away.add(id);
    service.setRotation(id, false);
    service.restart(id);
  }
  simulator.every(STEP_MS, () => {
    for (const { id, answers, state } of service.instances()) {
      if (state === 'running' && answers) away.delete(id);
      service.setRotation(id, answers && !away.has(id));
    }
    if (world.isHealed) observe(service, (signal) => healer.report(signal));
  });
  await simulator.run(RUN_MS);
  await healer.close();
  return {
    stats: service.getStats(),
    healing: world.isHealed ? healer.getStats() : undefined,
    digest: simulator.digest(),
  };
}

/** What a monitor sees: probes, memory, and the error rate beside that of the others. */
function observe(
  service: SimulatedService,
  report: (signal: { target: string; condition: string; isPresent: boolean }) => unknown,
): void {
  const instances = service.instances();
  const rates = instances.map(({ errorRate }) => errorRate).toSorted((a, b) => a - b);
  const usual = rates[Math.floor(rates.length / 2)] ?? 0;
  for (const { id, answers, state, memory, errorRate } of instances) {
    if (state === 'starting') continue;
    const target = String(id);
    report({ target, condition: 'silent', isPresent: !answers });
    report({ target, condition: 'slow', isPresent: answers && errorRate > usual + 0.05 });
    report({ target, condition: 'leaking', isPresent: answers && memory > MEMORY_LIMIT });
  }
}

/** Whether the other instances can carry what comes now, without this one. */
function hasRoom(service: SimulatedService, without: number): boolean {
  const others = service
    .instances()
    .filter(({ id, answers, inRotation }) => id !== without && answers && inRotation);
  const { utilization } = service.metrics();
  return others.length > 0 && (utilization * (others.length + 1)) / others.length < ROOM;
}
