import {
  type OptionRule,
  type ResolvedOptions,
  InvalidOptionError,
  callback,
  integer,
  number,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import type { Incident, IncidentEffect } from './incidents.ts';
import { Instance } from './instance.ts';
import type {
  SimulatedDependency,
  SimulatedInstance,
  SimulatedMetrics,
  SimulatedService,
  SimulatedServiceOptions,
  SimulatedStats,
} from './simulated-service.ts';
import type { Simulator } from './simulator.ts';

const OWNER = 'createSimulatedService';
const DAY_MS = 86_400_000;
const MS_PER_SECOND = 1_000;
const PEAK_SHARE = 0.6;
const TROUGH_SHARE = 0.2;
const UP: SimulatedDependency = { kind: 'up', addedMs: 0 };
const DOWN: SimulatedDependency = { kind: 'down', addedMs: 0 };

const names = (absent: readonly string[]): OptionRule<readonly string[]> => ({
  permitted: 'a list of different names',
  parse(value, field, owner) {
    const isList = Array.isArray(value) && value.every((name) => typeof name === 'string');
    if (isList && new Set(value).size === value.length) return value;
    throw new InvalidOptionError(owner, field, value, 'a list of different names');
  },
  defaultValue: () => absent,
});

const schema = {
  instances: integer({ min: 1, max: 10_000, default: 10 }),
  maxInstances: integer({ min: 1, max: 10_000, default: 100 }),
  capacityPerSecond: number({ min: 0.001, max: 1e9, default: 100 }),
  baseLatencyMs: number({ min: 0.001, max: 60_000, default: 20 }),
  startMs: integer({ min: 0, max: DAY_MS, default: 30_000 }),
  stepMs: integer({ min: 1, max: 3_600_000, default: 1_000 }),
  load: optional(callback<(nowMs: number) => number>()),
  critical: names(['database']),
  optional: names(['cache']),
};

/**
 * Makes a service on a simulator; it steps as long as the simulator runs.
 * @throws InvalidOptionError
 */
export function createSimulatedService(
  simulator: Simulator,
  options: SimulatedServiceOptions = {},
): SimulatedService {
  const resolved = parseOptions(OWNER, schema, options);
  const service = new SteppedService(simulator, resolved);
  simulator.every(resolved.stepMs, () => service.step());
  return service;
}

class SteppedService implements SimulatedService {
  readonly stepMs: number;
  readonly #simulator: Simulator;
  readonly #options: ResolvedOptions<typeof schema>;
  readonly #load: (nowMs: number) => number;
  readonly #instances = new Map<number, Instance>();
  readonly #active = new Set<IncidentEffect>();
  #nextId = 0;
  #decide: (offered: number, nowMs: number) => number = (offered) => offered;
  #stats = { offered: 0, served: 0, degraded: 0, failed: 0, shed: 0 };
  #last = { offered: 0, admitted: 0, failed: 0 };

  constructor(simulator: Simulator, options: ResolvedOptions<typeof schema>) {
    this.#simulator = simulator;
    this.#options = options;
    this.stepMs = options.stepMs;
    this.#load = options.load ?? dailyWave(options.instances * options.capacityPerSecond);
    for (let count = 0; count < options.instances; count += 1) this.#start(0);
  }

  instances(): readonly SimulatedInstance[] {
    return [...this.#instances.values()].map((instance) => instance.view(this.#nowMs));
  }

  dependency(name: string): SimulatedDependency {
    const { critical, optional: others } = this.#options;
    if (!critical.includes(name) && !others.includes(name)) {
      const permitted = `one of ${[...critical, ...others].join(', ')}`;
      throw new InvalidOptionError('dependency', 'name', name, permitted);
    }
    return this.#dependencyState(name);
  }

  metrics(): SimulatedMetrics {
    const views = this.instances();
    const inUse = views.filter(({ state, inRotation }) => state === 'running' && inRotation);
    const mean = (of: (view: SimulatedInstance) => number): number =>
      inUse.length === 0 ? 0 : inUse.reduce((sum, view) => sum + of(view), 0) / inUse.length;
    const { offered, admitted, failed } = this.#last;
    return {
      offeredPerSecond: (offered * MS_PER_SECOND) / this.stepMs,
      admittedPerSecond: (admitted * MS_PER_SECOND) / this.stepMs,
      utilization: mean(({ utilization }) => utilization),
      errorRate: admitted === 0 ? 0 : failed / admitted,
      latencyMs: mean(({ latencyMs }) => latencyMs),
      running: views.filter(({ state }) => state === 'running').length,
      starting: views.filter(({ state }) => state === 'starting').length,
    };
  }

  getStats(): SimulatedStats {
    const { offered, served } = this.#stats;
    return { ...this.#stats, availability: offered === 0 ? 1 : served / offered };
  }

  schedule({ atMs, durationMs, effect }: Incident): void {
    const { clock } = this.#simulator;
    const begin = (): void => {
      this.#simulator.record('incident-began', { ...effect });
      this.#active.add(effect);
      if ('instance' in effect) this.#instances.get(effect.instance)?.begin(effect);
      clock.schedule(durationMs, end);
    };
    const end = (): void => {
      this.#simulator.record('incident-ended', { ...effect });
      this.#active.delete(effect);
      if ('instance' in effect) this.#instances.get(effect.instance)?.end(effect);
    };
    clock.schedule(Math.max(0, atMs - clock.now()), begin);
  }

  restart(id: number): boolean {
    const instance = this.#instances.get(id);
    instance?.restart(this.#nowMs + this.#options.startMs);
    if (instance !== undefined) this.#simulator.record('instance-restarted', { id });
    return instance !== undefined;
  }

  add(): number | undefined {
    if (this.#instances.size >= this.#options.maxInstances) return undefined;
    const id = this.#start(this.#nowMs + this.#options.startMs);
    this.#simulator.record('instance-added', { id });
    return id;
  }

  remove(id: number): boolean {
    if (this.#instances.size === 1 || !this.#instances.delete(id)) return false;
    this.#simulator.record('instance-removed', { id });
    return true;
  }

  setRotation(id: number, inRotation: boolean): void {
    const instance = this.#instances.get(id);
    if (instance === undefined || instance.inRotation === inRotation) return;
    instance.inRotation = inRotation;
    this.#simulator.record('rotation-changed', { id, inRotation });
  }

  admit(decide: (offered: number, nowMs: number) => number): void {
    this.#decide = decide;
  }

  step(): void {
    const { stepMs } = this;
    const seconds = stepMs / MS_PER_SECOND;
    const offered = this.#load(this.#nowMs) * seconds * this.#surge();
    const admitted = Math.min(offered, Math.max(0, this.#decide(offered, this.#nowMs)));
    const { critical, optional: others, capacityPerSecond, baseLatencyMs } = this.#options;
    const slowed = [...critical, ...others].map((name) => this.#dependencyState(name).addedMs);
    const addedMs = slowed.reduce((sum, each) => sum + each, 0);
    const isDown = (name: string): boolean => this.#dependencyState(name).kind === 'down';
    const targets = [...this.#instances.values()].filter(({ inRotation }) => inRotation);
    // A share of each request's time is spent waiting for dependencies, and so of each slot.
    const capacity = (capacityPerSecond * seconds * baseLatencyMs) / (baseLatencyMs + addedMs);
    let served = 0;
    for (const instance of this.#instances.values()) {
      const requests = instance.inRotation ? admitted / targets.length : 0;
      const nowMs = this.#nowMs;
      served += instance.step({ nowMs, stepMs, requests, capacity, baseLatencyMs, addedMs }).served;
    }
    if (critical.some(isDown)) served = 0;
    this.#last = { offered, admitted, failed: admitted - served };
    this.#stats.offered += offered;
    this.#stats.served += served;
    if (others.some(isDown)) this.#stats.degraded += served;
    this.#stats.failed += admitted - served;
    this.#stats.shed += offered - admitted;
  }

  get #nowMs(): number {
    return this.#simulator.clock.now();
  }

  #start(readyAtMs: number): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#instances.set(id, new Instance(id, readyAtMs, this.#options.baseLatencyMs));
    return id;
  }

  #surge(): number {
    let factor = 1;
    for (const effect of this.#active) if (effect.kind === 'surge') factor *= effect.factor;
    return factor;
  }

  #dependencyState(name: string): SimulatedDependency {
    let addedMs = 0;
    for (const effect of this.#active) {
      if (!('dependency' in effect) || effect.dependency !== name) continue;
      if (effect.kind === 'dependency-down') return DOWN;
      addedMs += effect.addedMs;
    }
    return addedMs === 0 ? UP : { kind: 'slow', addedMs };
  }
}

function dailyWave(capacity: number): (nowMs: number) => number {
  const mean = (PEAK_SHARE + TROUGH_SHARE) / 2;
  const swing = (PEAK_SHARE - TROUGH_SHARE) / 2;
  return (nowMs) => capacity * (mean - swing * Math.cos((2 * Math.PI * nowMs) / DAY_MS));
}
