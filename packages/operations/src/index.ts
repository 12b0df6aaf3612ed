/** The service as a whole: watched, degraded, healed, scaled, backed up and recovered. */
export type { DurableRunner } from './durable/durable.ts';

export {
  type Closing,
  type Drain,
  type DrainOptions,
  type DrainResult,
  type DrainStep,
  type DrainStepResult,
  closingServer,
  createDrain,
} from './health/drain.ts';
export {
  DrainStepTimeoutError,
  HealthCheckTimeoutError,
  ProbeServerError,
} from './health/errors.ts';
export {
  type HealthHandler,
  type IndicatorResult,
  healthHandler,
  healthIndicators,
  healthMiddleware,
  healthPlugin,
} from './health/adapters.ts';
export type {
  ComponentGroup,
  ComponentReport,
  ComponentState,
  Health,
  HealthCheck,
  HealthComponent,
  HealthEvents,
  HealthFleet,
  HealthPhase,
  HealthReport,
  HealthStats,
  HealthStatus,
  ProbeAnswer,
  ProbeName,
} from './health/health.ts';
export type { HealthOptions } from './health/health-options.ts';
export { createHealth } from './health/create-health.ts';
export {
  type ProbeServer,
  type ProbeServerOptions,
  serveHealth,
} from './health/server/probe-server.ts';
export { type HealthSource, type LeveledHealth, checkOf } from './health/sources.ts';

export { RateStoreError } from './limiter/errors.ts';
export type {
  ConsumeOptions,
  CountedBy,
  CountedReply,
  DistributedRateLimiter,
  DistributedRateLimiterEvents,
  DistributedRateLimiterStats,
  Rate,
  RateLimitOutcome,
  RateReply,
  RateRequest,
  RateStore,
} from './limiter/rate-limiter.ts';
export type { DistributedRateLimiterOptions } from './limiter/limiter-options.ts';
export { createDistributedRateLimiter } from './limiter/create-rate-limiter.ts';

export type {
  Degradation,
  DegradationEvents,
  DegradationStats,
  Feature,
  FeatureReport,
  FeatureState,
} from './degradation/degradation.ts';
export { FeatureCycleError, UnknownFeatureError } from './degradation/errors.ts';
export {
  type DegradationOptions,
  createGracefulDegradation,
} from './degradation/create-degradation.ts';

export { LoadShedError } from './shedding/errors.ts';
export type {
  LoadShedder,
  LoadShedderEvents,
  LoadShedderStats,
  PressureLevel,
  PriorityClass,
  ShedCallOptions,
  ShedReason,
} from './shedding/shedding.ts';
export type { LoadShedderOptions } from './shedding/shedder-options.ts';
export { createLoadShedder } from './shedding/create-load-shedder.ts';
export { type Watermark, descriptorShare, diskShare, memoryShare } from './shedding/watermarks.ts';
