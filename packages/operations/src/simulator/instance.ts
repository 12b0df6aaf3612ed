import type { IncidentEffect } from './incidents.ts';
import type { SimulatedInstance } from './simulated-service.ts';

type InstanceFault = Extract<IncidentEffect, { readonly instance: number }>;

const MS_PER_HOUR = 3_600_000;
const USUAL_MEMORY = 0.3;
/** Waiting takes at most so many times the idle latency: requests that would wait longer fail. */
const LONGEST_WAIT = 20;

/** What one instance did with its requests of one step. */
interface StepResult {
  readonly served: number;
  readonly failed: number;
}

/** One instance, and the faults that it has. */
export class Instance {
  readonly id: number;
  inRotation = true;
  /** Serves from this time on. */
  #readyAtMs: number;
  #isCrashed = false;
  #memory = USUAL_MEMORY;
  #faults = new Set<InstanceFault>();
  #utilization = 0;
  #errorRate = 0;
  #latencyMs: number;

  constructor(id: number, readyAtMs: number, latencyMs: number) {
    this.id = id;
    this.#readyAtMs = readyAtMs;
    this.#latencyMs = latencyMs;
  }

  restart(readyAtMs: number): void {
    this.#readyAtMs = readyAtMs;
    this.#isCrashed = false;
    this.#memory = USUAL_MEMORY;
    for (const fault of this.#faults) {
      if (fault.kind !== 'slow' || !fault.onHost) this.#faults.delete(fault);
    }
  }

  begin(fault: InstanceFault): void {
    if (fault.kind === 'crash') this.#isCrashed = true;
    else this.#faults.add(fault);
  }

  end(fault: InstanceFault): void {
    this.#faults.delete(fault);
  }

  /** Takes a step's requests. `dependencyFactor`: what slow dependencies leave of the capacity. */
  step(now: {
    readonly nowMs: number;
    readonly stepMs: number;
    readonly requests: number;
    readonly capacity: number;
    readonly baseLatencyMs: number;
    readonly addedMs: number;
  }): StepResult {
    this.#leak(now.stepMs);
    const capacity = this.#answers(now.nowMs) ? now.capacity * this.#capacityFactor() : 0;
    const served = Math.min(now.requests, capacity);
    this.#utilization = capacity === 0 ? 0 : served / capacity;
    this.#errorRate = now.requests === 0 ? 0 : 1 - served / now.requests;
    const waits = Math.min(LONGEST_WAIT, 1 / Math.max(1e-9, 1 - this.#utilization));
    this.#latencyMs = now.baseLatencyMs * waits + now.addedMs;
    return { served, failed: now.requests - served };
  }

  view(nowMs: number): SimulatedInstance {
    const isStarting = nowMs < this.#readyAtMs;
    const running = isStarting ? 'starting' : 'running';
    return {
      id: this.id,
      state: this.#isCrashed ? 'crashed' : running,
      inRotation: this.inRotation,
      answers: this.#answers(nowMs),
      memory: this.#memory,
      utilization: this.#utilization,
      errorRate: this.#errorRate,
      latencyMs: this.#latencyMs,
    };
  }

  #answers(nowMs: number): boolean {
    if (this.#isCrashed || nowMs < this.#readyAtMs) return false;
    return ![...this.#faults].some(({ kind }) => kind === 'hang');
  }

  #capacityFactor(): number {
    let factor = 1;
    for (const fault of this.#faults) if (fault.kind === 'slow') factor *= fault.capacityFactor;
    return factor;
  }

  #leak(stepMs: number): void {
    for (const fault of this.#faults) {
      if (fault.kind === 'leak') this.#memory += (fault.perHour * stepMs) / MS_PER_HOUR;
    }
    if (this.#memory < 1) return;
    this.#memory = 1;
    this.#isCrashed = true;
  }
}
