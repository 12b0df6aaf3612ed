import type { AdaptiveLimitStats } from '../adaptive/adaptive-limit.ts';
import type { BulkheadStats } from '../bulkhead/bulkhead.ts';
import type { HedgeStats } from '../hedge/hedge.ts';
import type { RateLimiterStats } from '../rate-limiter/rate-limiter.ts';
import type { RetryStats } from '../retry/retry-state.ts';
import type { StackStats } from '../stack/resilience-stack.ts';
import type { HealthLevel } from '../stack/stack-health.ts';
import { type Row, rowsFor } from '@holdfast/foundation/metrics';
import type { ThrottleStats } from '../adaptive/throttle.ts';

const seconds = (milliseconds: number | undefined): number | undefined =>
  milliseconds === undefined ? undefined : milliseconds / 1_000;

interface StackReading {
  readonly stats: StackStats;
  readonly health: HealthLevel;
}

const healthNumbers: Readonly<Record<HealthLevel, number>> = {
  healthy: 0,
  degraded: 1,
  critical: 2,
};

const stack = rowsFor<StackReading>('name');
export const stackRows: readonly Row<StackReading>[] = [
  stack.gauge(
    'resilience_stack_health',
    'Health of a stack: 0 healthy, 1 degraded, 2 critical.',
    ({ health }) => healthNumbers[health],
  ),
  stack.counter('resilience_stack_calls_total', 'Calls begun.', ({ stats }) => stats.calls),
  ...stack.results(
    'resilience_stack_results_total',
    'Calls ended, by what came of them before any substitute.',
    {
      success: ({ stats }) => stats.successes,
      failure: ({ stats }) => stats.failures,
      refused: ({ stats }) => stats.refusals,
      aborted: ({ stats }) => stats.aborts,
    },
  ),
  stack.counter(
    'resilience_stack_substitutes_total',
    'Failures and refusals answered by a kept value or a fallback.',
    ({ stats }) => stats.substitutes,
  ),
  stack.counter(
    'resilience_stack_timeouts_total',
    'Attempts told to stop because their time was over.',
    ({ stats }) => stats.timeouts,
  ),
];

const retry = rowsFor<RetryStats>('operation');
export const retryRows: readonly Row<RetryStats>[] = [
  retry.counter(
    'retry_attempts_total',
    'Attempts made again: the first attempt of a call is not counted.',
    (stats) => stats.attempts - stats.calls,
  ),
  retry.counter(
    'retry_successes_total',
    'Calls that succeeded by an attempt made again.',
    (stats) => stats.retrySuccesses,
  ),
  retry.counter('retry_calls_total', 'Calls, each with its first attempt.', (stats) => stats.calls),
  retry.counter(
    'retry_exhausted_total',
    'Calls that failed because attempts, time or budget were used up.',
    (stats) => stats.exhausted,
  ),
  retry.counter(
    'retry_budget_refused_total',
    'Attempts not made again because the retry budget was spent.',
    (stats) => stats.budgetRefusals,
  ),
];

const bulkhead = rowsFor<BulkheadStats>('name');
export const bulkheadRows: readonly Row<BulkheadStats>[] = [
  bulkhead.gauge('bulkhead_active', 'Slots taken now.', (stats) => stats.activeCount),
  bulkhead.gauge('bulkhead_queued', 'Calls waiting for a slot now.', (stats) => stats.queuedCount),
  bulkhead.gauge('bulkhead_max_concurrent', 'Slots there are.', (stats) => stats.maxConcurrent),
  bulkhead.gauge(
    'bulkhead_max_queue_size',
    'Places in the queue there are.',
    (stats) => stats.maxQueueSize,
  ),
  bulkhead.counter(
    'bulkhead_rejected_total',
    'Calls refused because slots and queue were full, or shed for a more urgent one.',
    (stats) => stats.rejectedCount,
  ),
  bulkhead.counter(
    'bulkhead_queue_timeouts_total',
    'Calls that waited in vain for a slot.',
    (stats) => stats.timedOutCount,
  ),
  bulkhead.counter(
    'bulkhead_completed_total',
    'Slots given back.',
    (stats) => stats.completedCount,
  ),
  bulkhead.gauge(
    'bulkhead_execution_avg_seconds',
    'How long a slot is held: moving average, the last call weighing a tenth.',
    (stats) => seconds(stats.avgExecutionMs),
  ),
];

const limiter = rowsFor<RateLimiterStats>('name');
export const rateLimiterRows: readonly Row<RateLimiterStats>[] = [
  limiter.gauge(
    'rate_limiter_available_tokens',
    'Whole tokens there now.',
    (stats) => stats.availableTokens,
  ),
  limiter.gauge('rate_limiter_max_tokens', 'The largest burst.', (stats) => stats.maxTokens),
  limiter.gauge(
    'rate_limiter_queued',
    'Calls waiting for tokens now.',
    (stats) => stats.queuedCount,
  ),
  limiter.counter(
    'rate_limiter_granted_total',
    'Calls let through.',
    (stats) => stats.grantedCount,
  ),
  limiter.counter('rate_limiter_rejected_total', 'Calls refused.', (stats) => stats.rejectedCount),
];

const hedge = rowsFor<HedgeStats>('name');
export const hedgeRows: readonly Row<HedgeStats>[] = [
  hedge.counter('hedge_calls_total', 'Calls begun.', (stats) => stats.callCount),
  hedge.counter('hedge_attempts_total', 'Further attempts started.', (stats) => stats.hedgeCount),
  hedge.counter(
    'hedge_wins_total',
    'Calls that a further attempt answered.',
    (stats) => stats.hedgeWinCount,
  ),
  hedge.counter(
    'hedge_refused_total',
    'Further attempts that the budget refused.',
    (stats) => stats.refusedCount,
  ),
  hedge.gauge(
    'hedge_delay_seconds',
    'How long a call may take before a further attempt starts; absent until measured.',
    (stats) => seconds(stats.delayMs),
  ),
];

const adaptive = rowsFor<AdaptiveLimitStats>('name');
export const adaptiveLimitRows: readonly Row<AdaptiveLimitStats>[] = [
  adaptive.gauge(
    'adaptive_limit_current',
    'How many calls may run at a time now.',
    (stats) => stats.limit,
  ),
  adaptive.gauge('adaptive_limit_active', 'Calls running now.', (stats) => stats.activeCount),
  adaptive.counter(
    'adaptive_limit_rejected_total',
    'Calls refused.',
    (stats) => stats.rejectedCount,
  ),
  adaptive.gauge(
    'adaptive_limit_baseline_seconds',
    'What a call takes when nothing queues; absent until measured.',
    (stats) => seconds(stats.baselineMs),
  ),
];

const throttle = rowsFor<ThrottleStats>('name');
export const throttleRows: readonly Row<ThrottleStats>[] = [
  throttle.gauge(
    'throttle_refusal_probability',
    'The chance that the next call is not sent, 0 to 1.',
    (stats) => stats.refusalProbability,
  ),
  throttle.counter('throttle_rejected_total', 'Calls not sent.', (stats) => stats.throttledCount),
];
