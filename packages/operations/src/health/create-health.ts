import { type Emitter, type Subscribe, createEmitter } from '@holdfast/foundation';
import { Component } from './component.ts';
import {
  type ComponentGroup,
  type ComponentReport,
  type Health,
  type HealthEvents,
  type HealthPhase,
  type HealthReport,
  type HealthStats,
  type HealthStatus,
  type ProbeAnswer,
  type ProbeName,
  healthEventKinds,
} from './health.ts';
import {
  type HealthOptions,
  type ResolvedHealthOptions,
  parseHealthOptions,
} from './health-options.ts';
import { answerOf, judge } from './judge.ts';

/**
 * Begins to check what the process stands on, in the background.
 * @throws InvalidOptionError
 */
export function createHealth(options: HealthOptions): Health {
  return new CheckedHealth(parseHealthOptions(options));
}

class CheckedHealth implements Health {
  readonly on: Subscribe<HealthEvents>;
  readonly #emitter: Emitter<HealthEvents> = createEmitter('holdfast:health', healthEventKinds);
  readonly #options: ResolvedHealthOptions;
  readonly #components: readonly Component[];
  #phase: HealthPhase = 'starting';
  #wasReady = false;
  #isClosed = false;

  constructor(options: ResolvedHealthOptions) {
    this.on = this.#emitter.on;
    this.#options = options;
    this.#components = Object.entries(options.components).map(
      ([name, { timeoutMs = options.timeoutMs, intervalMs = options.intervalMs, ...rest }]) =>
        new Component(
          { name, timeoutMs, intervalMs, ...rest },
          { ...options, onResult: (component, from) => this.#onResult(component, from) },
        ),
    );
    if (options.startsItself && !this.#components.some(isStillAwaited)) this.#phase = 'serving';
    this.#wasReady = this.isReady;
  }

  get isReady(): boolean {
    return !this.#isClosed && this.#phase === 'serving' && this.report().status !== 'fail';
  }

  report(): HealthReport {
    return judge(this.#components.map((component) => this.#reportOf(component)));
  }

  answer(probe: ProbeName): ProbeAnswer {
    const { name, version, details } = this.#options;
    const phase = this.#isClosed ? 'draining' : this.#phase;
    return answerOf(probe, { name, version, details, phase, report: this.report() });
  }

  async comprehensiveHealthCheck(): Promise<HealthReport> {
    return this.#refresh(this.#components);
  }

  async checkServices(): Promise<HealthReport> {
    return this.#refreshGroup('services');
  }

  async checkDatabases(): Promise<HealthReport> {
    return this.#refreshGroup('databases');
  }

  async checkCaches(): Promise<HealthReport> {
    return this.#refreshGroup('caches');
  }

  async checkQueues(): Promise<HealthReport> {
    return this.#refreshGroup('queues');
  }

  async checkExternalDependencies(): Promise<HealthReport> {
    return this.#refreshGroup('external');
  }

  markStarted(): void {
    if (this.#phase === 'starting') this.#phase = 'serving';
    this.#noteReadiness();
  }

  beginDrain(): void {
    this.#phase = 'draining';
    this.#noteReadiness();
  }

  noteStall(stalledMs: number, stack: readonly string[]): void {
    this.#emitter.emit('stalled', { stalledMs, stack });
  }

  noteServerFailure(error: unknown): void {
    this.#emitter.emit('server-failed', { error });
  }

  getStats(): HealthStats {
    const sum = (of: (component: Component) => number): number =>
      this.#components.reduce((total, component) => total + of(component), 0);
    return {
      isReady: this.isReady,
      phase: this.#phase,
      components: Object.fromEntries(
        this.#components.map(({ settings, state }) => [settings.name, state.status]),
      ),
      checks: sum(({ checks }) => checks),
      failures: sum(({ failures }) => failures),
      timeouts: sum(({ timeouts }) => timeouts),
      hanging: sum(({ hanging }) => hanging),
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const component of this.#components) component.close();
    this.#noteReadiness();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #refreshGroup(group: ComponentGroup): Promise<HealthReport> {
    return this.#refresh(this.#components.filter(({ settings }) => settings.group === group));
  }

  async #refresh(components: readonly Component[]): Promise<HealthReport> {
    await Promise.all(components.map((component) => component.refresh()));
    return judge(components.map((component) => this.#reportOf(component)));
  }

  #reportOf({ settings, state, checkedAtEpochMs, durationMs }: Component): ComponentReport {
    const { name, group, critical } = settings;
    const { status, reason } = state;
    return {
      name,
      group,
      critical,
      status,
      ...(reason === undefined ? {} : { reason }),
      ...(checkedAtEpochMs === undefined ? {} : { checkedAtEpochMs }),
      ...(durationMs === undefined ? {} : { durationMs }),
      isFleetWide: status === 'fail' && this.#isFleetWide(name),
    };
  }

  #isFleetWide(component: string): boolean {
    const { fleet, fleetWideShare } = this.#options;
    try {
      return (fleet?.failingShare(component) ?? 0) >= fleetWideShare;
    } catch {
      return false;
    }
  }

  #onResult(component: Component, from: HealthStatus): void {
    const { settings, state } = component;
    const { name } = settings;
    try {
      this.#options.fleet?.publish(name, state.status);
    } catch {
      // Of the fleet nothing is known then, which is the same as without one.
    }
    if (this.#options.startsItself && this.#phase === 'starting') {
      if (!this.#components.some(isStillAwaited)) this.#phase = 'serving';
    }
    if (from !== state.status) {
      const { status: to, reason } = state;
      const change = { name, from, to, ...(reason === undefined ? {} : { reason }) };
      this.#emitter.emit('component-changed', change);
    }
    this.#noteReadiness();
  }

  #noteReadiness(): void {
    const { isReady } = this;
    if (isReady === this.#wasReady) return;
    this.#wasReady = isReady;
    this.#emitter.emit('readiness-changed', { isReady });
  }
}

const isStillAwaited = ({ settings, state }: Component): boolean =>
  settings.critical && !state.hasWorked;
