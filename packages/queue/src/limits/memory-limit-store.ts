import type { Limit } from './limit-options.ts';
import {
  type LimitStore,
  type LimitedSlot,
  MAX_POSTPONED_MS,
  type StartPermit,
  type PermitRequest,
  SLOT_WAIT_MS,
  paceOf,
} from './limit-store.ts';

/** What is known of one limit: of a topic, or of a key. */
interface LimitState {
  /** When the next start is due by the pace (the "theoretical arrival time" of GCRA). */
  dueMs: number;
  /** Until when jobs over the limit were put aside. */
  postponedMs: number;
  /** When each slot expires. */
  readonly slots: Map<string, number>;
}

const GRANTED: StartPermit = { kind: 'granted' };

/** The limits of a store in this process, by the rules of the script for Redis. */
export class MemoryLimitStore implements LimitStore {
  readonly #now: () => number;
  readonly #states = new Map<string, LimitState>();

  /** @param now monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  async acquire(request: PermitRequest): Promise<StartPermit[]> {
    const { topic, leaseMs, running } = request;
    const nowMs = this.#now();
    for (const job of running) this.#occupy(topic, job, nowMs + leaseMs);
    return request.jobs.map((job) => this.#permit(request, job, nowMs));
  }

  async release(topic: string, jobs: readonly LimitedSlot[]): Promise<void> {
    for (const { slot, key } of jobs) {
      this.#state(topic, undefined).slots.delete(slot);
      if (key !== undefined) this.#state(topic, key).slots.delete(slot);
    }
    this.#sweep();
  }

  #permit({ topic, limits, leaseMs }: PermitRequest, job: LimitedSlot, nowMs: number): StartPermit {
    const ofTopic = this.#state(topic, undefined);
    const waitMs = waitFor(ofTopic, limits.topic, job.slot, nowMs);
    if (waitMs > 0) return { kind: 'topic', waitMs };
    if (job.key !== undefined) {
      const ofKey = this.#state(topic, job.key);
      const keyWaitMs = waitFor(ofKey, limits.key, job.slot, nowMs);
      if (keyWaitMs > 0) return { kind: 'key', waitMs: postpone(ofKey, limits.key, nowMs) };
      start(ofKey, limits.key, nowMs);
    }
    start(ofTopic, limits.topic, nowMs);
    this.#occupy(topic, job, nowMs + leaseMs);
    return GRANTED;
  }

  #occupy(topic: string, { slot, key }: LimitedSlot, untilMs: number): void {
    this.#state(topic, undefined).slots.set(slot, untilMs);
    if (key !== undefined) this.#state(topic, key).slots.set(slot, untilMs);
  }

  #state(topic: string, key: string | undefined): LimitState {
    const name = key === undefined ? topic : `${topic}\n${key}`;
    const known = this.#states.get(name);
    if (known !== undefined) return known;
    const state = { dueMs: 0, postponedMs: 0, slots: new Map<string, number>() };
    this.#states.set(name, state);
    return state;
  }

  /** Forgets limits that would grant anything. */
  #sweep(): void {
    const nowMs = this.#now();
    for (const [name, { dueMs, postponedMs, slots }] of this.#states) {
      if (slots.size === 0 && dueMs <= nowMs && postponedMs <= nowMs) this.#states.delete(name);
    }
  }
}

/** How long the job has to wait; 0 when it may start. */
function waitFor(state: LimitState, limit: Limit, slot: string, nowMs: number): number {
  const { slots, dueMs } = state;
  for (const [name, untilMs] of slots) if (untilMs <= nowMs) slots.delete(name);
  const { aheadMs } = paceOf(limit);
  if (limit.perSecond > 0 && dueMs - nowMs > aheadMs) return dueMs - nowMs - aheadMs;
  const isFull = limit.running > 0 && !slots.has(slot) && slots.size >= limit.running;
  return isFull ? SLOT_WAIT_MS : 0;
}

function start(state: LimitState, limit: Limit, nowMs: number): void {
  if (limit.perSecond > 0) state.dueMs = Math.max(state.dueMs, nowMs) + paceOf(limit).intervalMs;
}

/** Each job that is put aside gets a later time than the one before it, so that they do not come back all at once. */
function postpone(state: LimitState, limit: Limit, nowMs: number): number {
  const { aheadMs, intervalMs } = paceOf(limit);
  const everyMs = limit.running > 0 ? Math.max(intervalMs, SLOT_WAIT_MS) : intervalMs;
  state.postponedMs = Math.max(state.postponedMs, state.dueMs - aheadMs, nowMs);
  const waitMs = state.postponedMs - nowMs;
  if (waitMs < MAX_POSTPONED_MS) state.postponedMs += everyMs;
  return Math.max(1, Math.min(waitMs, MAX_POSTPONED_MS));
}
