/** The service as a whole: watched, degraded, healed, scaled, backed up and recovered. */

// Alerts.
export {
  type AlertChannel,
  type AlertExplanation,
  type AlertIncident,
  type AlertLevel,
  type AlertManager,
  type AlertManagerEvents,
  type AlertManagerStats,
  type AlertMatcher,
  type AlertNotification,
  type AlertReason,
  type AlertReceipt,
  type AlertSignal,
  type InhibitionRule,
  type NotificationKind,
  type Silence,
} from './alerts/alerts.ts';
export { createAlertManager } from './alerts/alert-manager.ts';
export {
  type PagerDutyChannelOptions,
  type SlackChannelOptions,
  type SmsChannelOptions,
  type WebhookChannelOptions,
  pagerDutyChannel,
  slackChannel,
  smsChannel,
  webhookChannel,
} from './alerts/channels/channels.ts';
export { type AlertFetch } from './alerts/channels/http-post.ts';
export { AlertChannelError, AlertChannelTimeoutError, AlertsClosedError } from './alerts/errors.ts';
export {
  type AlertEscalationOptions,
  type AlertLevelOptions,
  type AlertManagerOptions,
} from './alerts/options.ts';
export { alertmanagerConfig, prometheusRules } from './alerts/rules/export-rules.ts';
export {
  type AlertRule,
  type RuleSample,
  type RuleEvaluator,
  createRuleEvaluator,
} from './alerts/rules/rules.ts';
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

// Healing.
export {
  type AnomalyDetector,
  type AnomalyOptions,
  type AnomalyReading,
  createAnomalyDetector,
} from './healing/anomaly.ts';
export { HealerClosedError, HealingTimeoutError } from './healing/errors.ts';
export { createHealer } from './healing/healer.ts';
export type {
  Healer,
  HealerEvents,
  HealerStats,
  HealingEscalation,
  HealingReason,
  HealingSignal,
} from './healing/healing.ts';
export type { HealerOptions, HealingPolicy } from './healing/options.ts';

// Failover.
export { FailoverTimeoutError, FencedError, RouteExpiredError } from './failover/errors.ts';
export type {
  FailoverCallOptions,
  FailoverEvents,
  FailoverManager,
  FailoverMember,
  FailoverReason,
  FailoverStep,
  LeaseStore,
  MemberStatus,
  FailoverRoute,
  ServiceDiscovery,
} from './failover/failover.ts';
export { createFailoverManager } from './failover/manager.ts';
export { createMemoryDiscovery, createMemoryLeaseStore } from './failover/memory.ts';
export type { FailoverOptions } from './failover/options.ts';
export {
  type PostgresMember,
  type PostgresQuery,
  assertPostgresEpoch,
  postgresMember,
} from './failover/postgres.ts';
export {
  type RouteFollower,
  type RouteFollowerOptions,
  followRoute,
} from './failover/route-follower.ts';

// Scaling.
export { type AutoscalerOptions, createAutoscaler } from './scaling/autoscaler.ts';
export { type ComposeTargetOptions, type RunCommand, composeTarget } from './scaling/compose.ts';
export { ScalingConflictError, ScalingTimeoutError } from './scaling/errors.ts';
export {
  type ScalingOptions,
  type ScalingRecommender,
  createScalingRecommender,
} from './scaling/recommend.ts';
export type {
  Autoscaler,
  AutoscalerEvents,
  ScalingMetric,
  ScalingReason,
  ScalingRecommendation,
  ScalingTarget,
} from './scaling/scaling.ts';
export type {
  Durable,
  DurableRunner,
  InputOf,
  DurableContext,
  RunFunction,
  RunFunctions,
  RunState,
  RunSummary,
  RunnerCallOptions,
  StepContext,
  StepOptions,
} from './durable/durable.ts';
export {
  NotDurableError,
  RunCancelledError,
  RunConflictError,
  RunFailedError,
  RunInterruptedError,
  RunnerClosedError,
  StepConflictError,
  StepFailedError,
  StepTimeoutError,
  UnknownRunError,
  UnknownRunFunctionError,
} from './durable/errors.ts';
export type { StoredError } from './durable/stored-error.ts';
export {
  type MemoryRunner,
  type MemoryRunnerOptions,
  createMemoryRunner,
} from './durable/memory/memory-runner.ts';
export { MemoryRunStore } from './durable/memory/run-store.ts';
export {
  type DisasterOutcome,
  type DisasterPlanOptions,
  type SiteAction,
  type SiteRoute,
  disasterPlan,
} from './continuity/disaster-plan.ts';
export { NotSteadyError, StandbyBehindError } from './continuity/errors.ts';
export {
  type DisasterTestOptions,
  type DisasterTestReport,
  testDisasterRecovery,
} from './continuity/test-disaster-recovery.ts';
