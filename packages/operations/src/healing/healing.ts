import type { Subscribe } from '@holdfast/foundation';

/** One observation of the condition that an action is to cure. */
export interface HealingSignal {
  /** What is ill, such as an instance. */
  readonly target: string;
  /** The name of a condition of the options. */
  readonly condition: string;
  /** Whether it is there now. Report it as often as it is measured, also when it is not. */
  readonly isPresent: boolean;
}

/** Why an action is taken, or is not. */
export type HealingReason =
  | 'well'
  | 'confirming'
  | 'held'
  | 'fleet-wide'
  | 'share-in-use'
  | 'budget-spent'
  | 'no-room'
  | 'act'
  | 'acting'
  | 'verifying'
  | 'backing-off'
  | 'healed'
  | 'escalated';

/** What an escalation tells. */
export interface HealingEscalation {
  readonly condition: string;
  /** Absent when the condition is one of the whole fleet. */
  readonly target?: string;
  readonly attempts: number;
  readonly reason: 'attempts-exhausted' | 'fleet-wide';
}

/** Events of a healer. */
export interface HealerEvents {
  acted: { readonly target: string; readonly condition: string; readonly attempt: number };
  /** The action rejected or was late; it is verified nevertheless, as it may have worked. */
  'action-failed': { readonly target: string; readonly condition: string; readonly error: unknown };
  /** The condition is gone after an action. */
  healed: { readonly target: string; readonly condition: string; readonly attempts: number };
  escalated: HealingEscalation;
}

/** Counts since the start. */
export interface HealerStats {
  readonly actions: number;
  readonly failedActions: number;
  readonly healed: number;
  readonly escalated: number;
  /** Targets in an action or its verification. */
  readonly busy: number;
  /** Why actions were not taken, counted by reports. */
  readonly withheld: Readonly<Partial<Record<HealingReason, number>>>;
}

/** Cures conditions by actions, within limits, and verifies each by the signal that asked for it. */
export interface Healer {
  readonly on: Subscribe<HealerEvents>;
  /** Takes an observation and starts an action if one is due. @throws InvalidOptionError, HealerClosedError */
  report(signal: HealingSignal): HealingReason;
  /** No action on the target, or on any without one, until it is released: a person works on it. */
  hold(reason: string, target?: string): void;
  release(target?: string): void;
  getStats(): HealerStats;
  /** Aborts actions on the way. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
