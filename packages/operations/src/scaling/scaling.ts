import type { Subscribe } from '@holdfast/foundation';

/** A metric that the number of replicas is to hold at its target. */
export interface ScalingMetric {
  readonly name: string;
  /** What one replica is to have of it, such as 0.6 of its capacity or 100 jobs. */
  readonly target: number;
  /** The mean over all replicas now; `undefined`: unknown, which is neither low nor zero. */
  readonly current: number | undefined;
}

/** Why the number of replicas is as recommended. */
export type ScalingReason =
  | 'steady'
  | 'within-tolerance'
  | 'up'
  | 'down'
  | 'stabilizing'
  | 'metric-missing'
  | 'at-minimum'
  | 'at-maximum';

/** A recommendation. */
export interface ScalingRecommendation {
  readonly replicas: number;
  readonly reason: ScalingReason;
  /** The metric that asks for most. */
  readonly metric?: string;
}

/** Whatever runs the replicas. */
export interface ScalingTarget {
  /** How many are wanted now. */
  read(options: { readonly signal: AbortSignal }): Promise<number>;
  /**
   * Asks for so many.
   * @param from the number that the decision was made from; a target that knows of another one rejects.
   */
  write(replicas: number, from: number, options: { readonly signal: AbortSignal }): Promise<void>;
}

/** Events of an autoscaler. */
export interface AutoscalerEvents {
  scaled: { readonly from: number; readonly to: number; readonly reason: ScalingReason };
  held: ScalingRecommendation;
  failed: { readonly error: unknown };
}

/** Keeps a target at what is recommended. */
export interface Autoscaler {
  readonly on: Subscribe<AutoscalerEvents>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
