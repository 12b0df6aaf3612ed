/**
 * A service of several instances behind a balancer, with dependencies, load and incidents, in steps of virtual time:
 * what decisions about health, healing, scaling, shedding and degradation are tried on.
 *
 * In each step the admitted requests are spread evenly over the instances that are in rotation. An instance serves what
 * its capacity allows; the rest fails. A hung instance fails its share until it is taken out of rotation; one that
 * starts serves nothing for `startMs`. A critical dependency that is down fails everything, an optional one makes
 * answers degraded; a slow one takes capacity.
 */
import type { Incident } from './incidents.ts';

/** Options of `createSimulatedService`. */
export interface SimulatedServiceOptions {
  /** Default 10. */
  instances?: number;
  /** What `add` goes up to. Default 100. */
  maxInstances?: number;
  /** Requests that one instance serves in a second. Default 100. */
  capacityPerSecond?: number;
  /** The latency without load, in milliseconds. Default 20. */
  baseLatencyMs?: number;
  /** How long an instance takes to start, in milliseconds. Default 30 000. */
  startMs?: number;
  /** The length of one step, in milliseconds. Default 1 000. */
  stepMs?: number;
  /** Requests in a second. Default: a wave with a peak of 60 % of the capacity at noon of each simulated day. */
  load?: (nowMs: number) => number;
  /** Dependencies without which no request is served. Default `['database']`. */
  critical?: readonly string[];
  /** Dependencies without which answers are degraded. Default `['cache']`. */
  optional?: readonly string[];
}

/** What is known of one instance from outside. */
export interface SimulatedInstance {
  readonly id: number;
  /** `starting` serves nothing yet; `running` may be ill; `crashed` waits for a restart. */
  readonly state: 'starting' | 'running' | 'crashed';
  /** Whether the balancer sends requests to it. */
  readonly inRotation: boolean;
  /** Whether it answers: a probe of a crashed, starting or hung instance fails. */
  readonly answers: boolean;
  /** The share of its memory that is taken, from 0 to 1. */
  readonly memory: number;
  /** Of the step before: the share of its capacity in use, the failed share of its requests, and their latency. */
  readonly utilization: number;
  readonly errorRate: number;
  readonly latencyMs: number;
}

/** What is known of a dependency. */
export interface SimulatedDependency {
  readonly kind: 'up' | 'slow' | 'down';
  /** What each answer takes more than usual, in milliseconds. */
  readonly addedMs: number;
}

/** What became of all requests since the start. */
export interface SimulatedStats {
  readonly offered: number;
  /** Answered in full or degraded. */
  readonly served: number;
  /** Of those served: without an optional dependency. */
  readonly degraded: number;
  readonly failed: number;
  /** Refused by `admitShare` or `admit` before they cost anything. */
  readonly shed: number;
  /** The served share of the offered; 1 before the first. */
  readonly availability: number;
}

/** The numbers of the step before, for decisions. */
export interface SimulatedMetrics {
  readonly offeredPerSecond: number;
  readonly admittedPerSecond: number;
  /** The mean of those in rotation. */
  readonly utilization: number;
  readonly errorRate: number;
  readonly latencyMs: number;
  readonly running: number;
  readonly starting: number;
}

/** The service under incidents. Every method takes effect with the next step. */
export interface SimulatedService {
  readonly stepMs: number;
  instances(): readonly SimulatedInstance[];
  dependency(name: string): SimulatedDependency;
  metrics(): SimulatedMetrics;
  getStats(): SimulatedStats;
  /** Lets the incident begin at its time. */
  schedule(incident: Incident): void;
  /** Starts the instance anew: what a restart cures is gone, and it serves nothing for `startMs`. False: unknown. */
  restart(id: number): boolean;
  /** Starts one more instance and returns its id; undefined at `maxInstances`. */
  add(): number | undefined;
  /** Removes an instance; the last one stays. */
  remove(id: number): boolean;
  /** Whether the balancer sends requests to the instance, as its readiness says. */
  setRotation(id: number, inRotation: boolean): void;
  /** Decides how many requests of a step of `stepMs` are admitted. Default: all. */
  admit(decide: (offered: number, nowMs: number) => number): void;
}
