import type { CircuitBreakerStats } from '../breaker/circuit-breaker.ts';
import type { KeyedCircuitBreakersStats } from '../breaker/keyed-circuit-breakers.ts';
import type { BulkheadStats } from '../bulkhead/bulkhead.ts';

/** `healthy`: all is as it should be. `degraded`: some calls are refused or replaced. `critical`: none get through. */
export type HealthLevel = 'healthy' | 'degraded' | 'critical';

/** The health of a stack as plain values. */
export interface HealthState {
  /**
   * `critical`: half of the circuits or more are not closed, or there is no room for another call, or the stack is
   * closed.
   * `degraded`: some circuit is not closed, or calls wait for a slot. `healthy`: neither.
   */
  readonly level: HealthLevel;
  /** Why the stack is not healthy, each reason in one sentence. */
  readonly reasons: readonly string[];
  /** The circuits that are not closed, at most twenty of them. */
  readonly circuits: readonly CircuitBreakerStats[];
}

export const CLOSED_HEALTH: HealthState = {
  level: 'critical',
  reasons: ['the stack is closed'],
  circuits: [],
};

/** How many circuits are listed; there can be as many as `maxKeys`. */
const LISTED_CIRCUITS = 20;

export function assessHealth(
  keys: KeyedCircuitBreakersStats | undefined,
  notClosed: readonly { getStats(): CircuitBreakerStats }[],
  bulkhead: BulkheadStats | undefined,
): HealthState {
  const reasons: string[] = [];
  let level: HealthLevel = 'healthy';
  if (keys !== undefined && keys.notClosed > 0) {
    reasons.push(`${keys.notClosed} of ${keys.keys} circuits are not closed`);
    level = keys.notClosed * 2 >= keys.keys ? 'critical' : 'degraded';
  }
  if (bulkhead !== undefined && bulkhead.activeCount >= bulkhead.maxConcurrent) {
    const { queuedCount, maxQueueSize } = bulkhead;
    if (queuedCount >= maxQueueSize) {
      reasons.push(`all ${bulkhead.maxConcurrent} slots and the queue of ${maxQueueSize} are full`);
      level = 'critical';
    } else if (queuedCount > 0) {
      reasons.push(
        `calls wait for a slot: ${queuedCount} of ${maxQueueSize} places in the queue are taken`,
      );
      if (level === 'healthy') level = 'degraded';
    }
  }
  const circuits = notClosed.slice(0, LISTED_CIRCUITS).map((circuit) => circuit.getStats());
  return { level, reasons, circuits };
}
