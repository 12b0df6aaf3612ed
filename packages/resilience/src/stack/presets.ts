import { InvalidOptionError } from '@holdfast/foundation';
import type { ResilienceStackOptions } from './stack-options.ts';

/** Options to start from: `createResilienceStack({ ...userFacingApi, name: 'lookup' })`. */
export type StackPreset = Required<
  Pick<ResilienceStackOptions, 'circuitBreaker' | 'retry' | 'bulkhead' | 'timeoutMs'>
>;

/** For calls that a person waits for: tolerates single failures, gives up and recovers quickly. */
export const userFacingApi: StackPreset = {
  circuitBreaker: { failureThreshold: 10, openDurationMs: 30_000 },
  retry: { maxAttempts: 2, initialDelayMs: 50, maxDelayMs: 500, timeoutMs: 10_000 },
  bulkhead: { maxConcurrent: 100, maxQueueSize: 200, queueTimeoutMs: 1_000 },
  timeoutMs: 5_000,
};

/** For background work: few calls at a time, long timeouts, slow to return to a failed dependency. */
export const backgroundJob: StackPreset = {
  circuitBreaker: { failureThreshold: 5, openDurationMs: 60_000 },
  retry: { maxAttempts: 3, initialDelayMs: 1_000, maxDelayMs: 30_000, timeoutMs: 300_000 },
  bulkhead: { maxConcurrent: 5, maxQueueSize: 10, queueTimeoutMs: 60_000 },
  timeoutMs: 60_000,
};

/** For services that respond in milliseconds, such as a CDN. */
export const fastApi: StackPreset = {
  circuitBreaker: { failureThreshold: 5, openDurationMs: 30_000 },
  retry: { maxAttempts: 3, initialDelayMs: 100, maxDelayMs: 1_000, timeoutMs: 15_000 },
  bulkhead: { maxConcurrent: 50, maxQueueSize: 100, queueTimeoutMs: 1_000 },
  timeoutMs: 3_000,
};

/** For slow services, such as the portals of public authorities. */
export const slowApi: StackPreset = {
  circuitBreaker: { failureThreshold: 3, openDurationMs: 120_000 },
  retry: { maxAttempts: 2, initialDelayMs: 1_000, maxDelayMs: 30_000, timeoutMs: 120_000 },
  bulkhead: { maxConcurrent: 10, maxQueueSize: 20, queueTimeoutMs: 30_000 },
  timeoutMs: 30_000,
};

/**
 * The number of CPU-bound operations to run at a time: two for each core.
 * @throws InvalidOptionError
 */
export function maxConcurrentForCpu(cores: number): number {
  return Math.floor(positive('maxConcurrentForCpu', 'cores', cores) * 2);
}

/**
 * The number of network-bound operations to run at a time: the number of connections, from 10 to 50.
 * @throws InvalidOptionError
 */
export function maxConcurrentForNetwork(poolSize: number): number {
  const connections = positive('maxConcurrentForNetwork', 'poolSize', poolSize);
  return Math.min(50, Math.max(10, Math.floor(connections)));
}

/**
 * The number of memory-bound operations to run at a time: as many as fit, at least one.
 * @throws InvalidOptionError
 */
export function maxConcurrentForMemory(availableBytes: number, operationBytes: number): number {
  const available = positive('maxConcurrentForMemory', 'availableBytes', availableBytes);
  const each = positive('maxConcurrentForMemory', 'operationBytes', operationBytes);
  return Math.max(1, Math.floor(available / each));
}

function positive(owner: string, field: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidOptionError(owner, field, value, 'a number above 0');
}
