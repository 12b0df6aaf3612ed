/**
 * Features that stand on one another, and what becomes of them when one fails:
 *
 * - Features form a graph without cycles, which is refused when it has one, before anything runs.
 * - The effective state of a feature is the worse of its own and of what it needs; it is read, never awaited.
 * - Dependents are told, and adjustments run, when the effective state changes, and at no other time.
 * - A feature goes at once and comes back only when it has worked for `restoreAfterMs`: a flapping one goes once.
 */
import type { EventKinds, Subscribe } from '@holdfast/foundation';

/** `on` works; `degraded` works in part; `off` is not to be used. */
export type FeatureState = 'on' | 'degraded' | 'off';

/** What a feature needs, and what is done about it. */
export interface Feature {
  /** Features that it does not work without: if one is off, so is this one; if one is degraded, so is this one. */
  readonly needs?: readonly string[];
  /** Features that it works better with: if one is not on, this one is degraded. */
  readonly prefers?: readonly string[];
  /** Changes the behavior of the system when the feature is no longer on, such as to send SMS instead of mail. */
  readonly adjust?: (state: 'degraded' | 'off', reason: string) => unknown;
  /** Takes the adjustment back when the feature is on again. */
  readonly restore?: () => unknown;
}

/** What is known of a feature. */
export interface FeatureReport {
  /** With what it needs. */
  readonly effective: FeatureState;
  /** By itself. */
  readonly own: FeatureState;
  /** Why it is not on; of the feature at the root of it. */
  readonly reason?: string;
  /** The feature whose own state is the cause; absent if it is on. */
  readonly cause?: string;
  /** How long until it is on again, if it works that long; absent if nothing is pending. */
  readonly restoresInMs?: number;
}

/** The events of degradation, by name. */
export interface DegradationEvents {
  changed: {
    readonly feature: string;
    readonly from: FeatureState;
    readonly to: FeatureState;
    readonly reason?: string;
    readonly cause?: string;
  };
}

export const degradationEventKinds: EventKinds<DegradationEvents> = { changed: true };

/** Numbers of degradation since it was made. */
export interface DegradationStats {
  readonly features: Readonly<Record<string, FeatureState>>;
  /** Changes of effective states. */
  readonly changes: number;
}

/** Which features are usable. */
export interface Degradation {
  readonly on: Subscribe<DegradationEvents>;
  /** Marks a feature as degraded or off by itself. @throws UnknownFeatureError */
  degradeFeature(feature: string, reason: string, state?: 'degraded' | 'off'): void;
  /** The feature works again; it is on once that has held for `restoreAfterMs`. @throws UnknownFeatureError */
  restoreFeature(feature: string): void;
  /** Whether the feature may be used, in full or in part. @throws UnknownFeatureError */
  checkFeatureAvailability(feature: string): boolean;
  /** @throws UnknownFeatureError */
  report(feature: string): FeatureReport;
  /** What is told when the feature changes: those that need or prefer it. @throws UnknownFeatureError */
  dependentsOf(feature: string): readonly string[];
  getStats(): DegradationStats;
  /** Forgets what is pending; states stay as they are. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}
