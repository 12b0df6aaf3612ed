import { seededRandom } from '@holdfast/foundation';
import {
  type CircuitBreaker,
  type ResilienceStack,
  type Retry,
  createAdaptiveLimit,
  createBulkhead,
  createCircuitBreaker,
  createHedge,
  createKeyedCircuitBreakers,
  createRateLimiter,
  createResilienceStack,
  createRetry,
  createThrottle,
} from '@holdfast/resilience';
import type { MeasuredPolicies } from '@holdfast/resilience/prometheus';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';

export interface EveryPolicy {
  readonly clock: FakeClock;
  readonly stack: ResilienceStack;
  readonly breaker: CircuitBreaker;
  readonly retry: Retry;
  /** All of them, as a registration takes them. */
  readonly measured: MeasuredPolicies;
}

/** A stack with every policy, and each policy by itself. */
export function everyPolicy(): EveryPolicy {
  const clock = createFakeClock();
  const random = seededRandom(1);
  const stack = createResilienceStack({
    name: 'portal',
    circuitBreaker: { failureThreshold: 2, openDurationMs: 60_000 },
    retry: { maxAttempts: 2, initialDelayMs: 100 },
    bulkhead: { maxConcurrent: 1, maxQueueSize: 1, queueTimeoutMs: 1_000 },
    rateLimiter: { maxTokens: 100, refillRate: 10 },
    clock,
    random,
  });
  const breaker = createCircuitBreaker({ name: 'upstream', failureThreshold: 1, clock });
  const retry = createRetry({ maxAttempts: 3, initialDelayMs: 100, clock, random });
  const measured = {
    stacks: [stack],
    breakers: [breaker],
    keyedBreakers: { gateways: createKeyedCircuitBreakers({ clock }) },
    retries: { sync: retry },
    bulkheads: [createBulkhead({ name: 'disk', clock })],
    rateLimiters: [createRateLimiter({ name: 'api', maxTokens: 5, refillRate: 1, clock })],
    hedges: { reads: createHedge({ delayMs: 50, clock }) },
    adaptiveLimits: [createAdaptiveLimit({ name: 'search', clock, random })],
    throttles: [createThrottle({ name: 'mail', clock, random })],
  };
  return { clock, stack, breaker, retry, measured };
}
