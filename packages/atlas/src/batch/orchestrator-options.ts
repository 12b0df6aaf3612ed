import {
  type Clock,
  type Random,
  callback,
  integer,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import { type ResilienceStackOptions, backgroundJob } from '@holdfast/resilience';
import type { ChaosInjector, LayerExtractor, LegislativeLayerType } from '../atlas.ts';
import { StateBatchExtractor } from '../extraction/state-batch-extractor.ts';
import { ofPolicy } from '../policy-rule.ts';
import type { BatchProgress } from './progress-bar.ts';

/** Options of `BatchOrchestrator`. All times in milliseconds. */
export interface BatchOrchestratorOptions {
  /** Default: a `StateBatchExtractor` without endpoints. */
  extractor?: LayerExtractor;
  /** Where each layer is stored as a file, which a later batch finds and does not extract again. Default: nowhere. */
  directory?: string;
  /** Faults for every attempt, such as those of `createChaosFaultInjector`. Default: none. */
  chaos?: ChaosInjector;
  /** Of each task. Default: 5 failures in a row open it for 60 s. */
  circuitBreaker?: ResilienceStackOptions['circuitBreaker'];
  /** Of each task. Default: 3 attempts, 1 s to 10 s apart. */
  retry?: ResilienceStackOptions['retry'];
  /** Default: 5 tasks at a time, and 1 000 that wait. */
  bulkhead?: ResilienceStackOptions['bulkhead'];
  /** The time for one attempt at a layer. Default 600 000. */
  timeoutMs?: number;
  /** How often a batch comes back to a task that has failed in a way that may pass. Default 5. */
  maxPasses?: number;
  /** The longest pause before a batch comes back; an open circuit may ask for more. Default 120 000. */
  maxPauseMs?: number;
  /** Called after each task of a batch; what it throws is a warning of the process. */
  onProgress?: (progress: BatchProgress) => unknown;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

/** One layer of one state. */
export interface ExtractionTask {
  readonly state: string;
  readonly layer: LegislativeLayerType;
}

/** The options with their defaults. */
export type ResolvedBatchOptions = {
  readonly [Name in Exclude<keyof BatchOrchestratorOptions, Absent>]-?: NonNullable<
    BatchOrchestratorOptions[Name]
  >;
} & {
  readonly [Name in Absent]: BatchOrchestratorOptions[Name] | undefined;
};
type Absent = 'directory' | 'chaos' | 'onProgress';

const DAY_MS = 86_400_000;
const MAX_PATH = 4_096;

const schema = {
  extractor: optional(objectWith<LayerExtractor>(['extractLayer'])),
  directory: optional(string({ maxLength: MAX_PATH })),
  chaos: optional(objectWith<ChaosInjector>(['execute'])),
  circuitBreaker: ofPolicy(backgroundJob.circuitBreaker),
  retry: ofPolicy<NonNullable<ResilienceStackOptions['retry']>>({
    ...backgroundJob.retry,
    maxDelayMs: 10_000,
    timeoutMs: DAY_MS,
  }),
  bulkhead: ofPolicy<NonNullable<ResilienceStackOptions['bulkhead']>>({
    ...backgroundJob.bulkhead,
    maxQueueSize: 1_000,
    queueTimeoutMs: DAY_MS,
  }),
  timeoutMs: integer({ min: 1, max: DAY_MS, default: 600_000 }),
  maxPasses: integer({ min: 1, max: 1_000, default: 5 }),
  maxPauseMs: integer({ min: 0, max: DAY_MS, default: 120_000 }),
  onProgress: optional(callback<(progress: BatchProgress) => unknown>()),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** @throws InvalidOptionError */
export function parseBatchOptions(options: BatchOrchestratorOptions): ResolvedBatchOptions {
  const { extractor, clock, random, ...others } = parseOptions(
    'BatchOrchestrator',
    schema,
    options,
  );
  const used = extractor ?? new StateBatchExtractor({ clock, random });
  return { ...others, extractor: used, clock, random };
}
