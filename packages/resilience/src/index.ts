/**
 * Policies for one call: retry, circuit breaker, bulkhead, rate limiter, timeout, hedge, fallback, and a stack
 * of them. Nothing here opens a socket; time and random numbers come in as options.
 */
export {
  BulkheadClearedError,
  BulkheadClosedError,
  BulkheadFullError,
  BulkheadTimeoutError,
} from './bulkhead/bulkhead-errors.ts';
export {
  type Bulkhead,
  type BulkheadCallOptions,
  type BulkheadCloseOptions,
  type BulkheadEvents,
  type BulkheadOptions,
  type BulkheadStats,
  type CallPriority,
  type Release,
} from './bulkhead/bulkhead.ts';
export { createBulkhead } from './bulkhead/create-bulkhead.ts';
export { RateLimitedError, RateLimiterClosedError } from './rate-limiter/rate-limiter-errors.ts';
export {
  type Quota,
  type RateLimiter,
  type RateLimiterEvents,
  type RateLimiterOptions,
  type RateLimiterStats,
  type TokenOptions,
} from './rate-limiter/rate-limiter.ts';
export { createRateLimiter } from './rate-limiter/create-rate-limiter.ts';
export {
  type KeyedRateLimiters,
  type KeyedRateLimitersOptions,
  type KeyedRateLimitersStats,
  createKeyedRateLimiters,
} from './rate-limiter/keyed-rate-limiters.ts';
export {
  type CallBudget,
  type RetryBudget,
  type RetryBudgetOptions,
  type RetryBudgetStats,
  createRetryBudget,
} from './retry/retry-budget.ts';
export { classifyError, isRefusal } from './classify/classify-error.ts';
export { type ErrorKind, errorKinds } from './classify/error-kind.ts';
export { classifyStatus } from './classify/http-status.ts';
export { type ExhaustedBy, type FailedAttempt, RetryExhaustedError } from './retry/retry-errors.ts';
export { type RetryOptions, type RetryableTest } from './retry/retry-options.ts';
export { type RetryEvents, type RetryStats } from './retry/retry-state.ts';
export {
  type RetriedWork,
  type Retry,
  type RetryCallOptions,
  createRetry,
  retry,
} from './retry/retry.ts';
export { type NameFirst } from './name-first.ts';
export { type LateValueOptions, type WorkCallOptions } from './until-aborted.ts';
export {
  type Timeout,
  type TimeoutCallOptions,
  TimeoutError,
  type TimeoutOptions,
  createTimeout,
  withTimeout,
} from './timeout/timeout.ts';
export {
  type CircuitBreaker,
  type CircuitBreakerEvents,
  type CircuitBreakerStats,
  type CircuitCallOptions,
  type CircuitPermit,
  type CircuitStateChange,
  type PermitRefusal,
} from './breaker/circuit-breaker.ts';
export { createCircuitBreaker } from './breaker/executing-circuit.ts';
export { CircuitOpenError, type RefusingState } from './breaker/circuit-open-error.ts';
export {
  type CircuitBreakerOptions,
  type CircuitResult,
  type Opening,
} from './breaker/circuit-options.ts';
export { type CircuitSnapshot } from './breaker/circuit-snapshot.ts';
export { type CircuitState } from './breaker/circuit-state.ts';
export {
  type KeyedCircuitBreakers,
  type KeyedCircuitBreakersOptions,
  type KeyedCircuitBreakersStats,
  createKeyedCircuitBreakers,
} from './breaker/keyed-circuit-breakers.ts';
export {
  type Aborted,
  type CallOutcome,
  type Failed,
  type Refused,
  type RefusingPolicy,
  type Succeeded,
} from './call-outcome.ts';
export { createResilienceStack } from './stack/policy-stack.ts';
export {
  type ResilienceStack,
  type StackCallOptions,
  type StackCloseOptions,
  type StackOutcome,
  type StackStats,
  type StackWork,
} from './stack/resilience-stack.ts';
export { StackClosedError } from './stack/stack-closed-error.ts';
export { type HealthLevel, type HealthState } from './stack/stack-health.ts';
export { type ResilienceStackOptions } from './stack/stack-options.ts';
export {
  type StackPreset,
  backgroundJob,
  fastApi,
  maxConcurrentForCpu,
  maxConcurrentForMemory,
  maxConcurrentForNetwork,
  slowApi,
  userFacingApi,
} from './stack/presets.ts';
export {
  type AdaptiveLimit,
  type AdaptiveLimitOptions,
  type AdaptiveLimitStats,
  type AdaptivePermit,
  LimitExceededError,
  createAdaptiveLimit,
} from './adaptive/adaptive-limit.ts';
export {
  type Coalescer,
  type CoalescerOptions,
  type CoalescerStats,
  type SharedWork,
  createCoalescer,
} from './coalesce/coalesce.ts';
export { CoalescerDeadlockError } from './coalesce/waiting-graph.ts';
export {
  type FallbackResult,
  type CachedValue,
  type Fallback,
  type FallbackOptions,
  type Substitute,
  type FallbackCallOptions,
  createFallback,
} from './fallback/fallback.ts';
export { FallbackThrewError } from './fallback/fallback-threw-error.ts';
export {
  type Hedge,
  type HedgeCallOptions,
  HedgeLostError,
  type HedgeOptions,
  type HedgeStats,
  createHedge,
} from './hedge/hedge.ts';
export { type FailedHedge, HedgeFailedError } from './hedge/hedge-failed-error.ts';
export {
  type Throttle,
  type ThrottleOptions,
  type ThrottleStats,
  ThrottledError,
  createThrottle,
} from './adaptive/throttle.ts';
