/** The service as a whole: watched, degraded, healed, scaled, backed up and recovered. */
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
