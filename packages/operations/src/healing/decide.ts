import type { HealingReason } from './healing.ts';
import type { ResolvedPolicy } from './options.ts';

/**
 * What is known of one condition on one target:
 *
 * ```
 * idle -> acting -> verifying -> idle (healed)
 *   ^                   |
 *   +-- backing-off <---+--> escalated -> idle (once it is gone)
 * ```
 */
export interface Patient {
  readonly phase: 'idle' | 'acting' | 'verifying' | 'backing-off' | 'escalated';
  /** When the phase ends: the verification, or the pause. */
  readonly untilMs: number;
  /** The last reports, newest last. */
  readonly reports: readonly boolean[];
  readonly attempts: number;
  /** Since when the condition has been absent. */
  readonly wellSinceMs: number;
}

/** What everybody's state allows at the moment. */
interface HealingLimits {
  readonly isHeld: boolean;
  readonly isFleetWide: boolean;
  readonly isTargetBusy: boolean;
  readonly hasShare: boolean;
  readonly hasBudget: boolean;
  readonly hasRoom: () => boolean;
}

/** A patient nothing is known of. */
export function newPatient(nowMs: number): Patient {
  return { phase: 'idle', untilMs: 0, reports: [], attempts: 0, wellSinceMs: nowMs };
}

/** Whether enough of the last reports show the condition. */
export function isConfirmed({ reports }: Patient, { hits }: ResolvedPolicy): boolean {
  return reports.filter(Boolean).length >= hits;
}

/** Takes a report, and decides. Only the reason `act` asks for an effect. */
export function decideHealing(
  before: Patient,
  isPresent: boolean,
  policy: ResolvedPolicy,
  nowMs: number,
): { readonly patient: Patient; readonly reason: HealingReason } {
  const reports = [...before.reports, isPresent].slice(-policy.of);
  const wellSinceMs = isPresent ? Infinity : Math.min(before.wellSinceMs, nowMs);
  const patient = { ...before, reports, wellSinceMs };
  if (patient.phase === 'acting') return { patient, reason: 'acting' };
  if (isPresent) return decidePresent(patient, policy, nowMs);
  if (patient.phase === 'verifying') {
    return { patient: { ...patient, phase: 'idle', reports: [] }, reason: 'healed' };
  }
  const isOver = nowMs - wellSinceMs >= policy.forgetMs;
  return {
    patient: { ...patient, phase: 'idle', attempts: isOver ? 0 : patient.attempts },
    reason: 'well',
  };
}

function decidePresent(
  patient: Patient,
  policy: ResolvedPolicy,
  nowMs: number,
): { readonly patient: Patient; readonly reason: HealingReason } {
  if (patient.phase === 'escalated') return { patient, reason: 'escalated' };
  if (patient.phase === 'verifying') {
    if (nowMs < patient.untilMs) return { patient, reason: 'verifying' };
    return { patient: afterFailure(patient, policy, nowMs), reason: 'backing-off' };
  }
  if (patient.phase === 'backing-off' && nowMs < patient.untilMs) {
    return { patient, reason: 'backing-off' };
  }
  if (!isConfirmed(patient, policy)) return { patient, reason: 'confirming' };
  // A relapse of what was healed often enough is a person's turn, too.
  if (patient.attempts >= policy.maxAttempts) {
    return { patient: { ...patient, phase: 'escalated' }, reason: 'escalated' };
  }
  return { patient, reason: 'act' };
}

function afterFailure(patient: Patient, policy: ResolvedPolicy, nowMs: number): Patient {
  const pauseMs = policy.backoffMs * 2 ** (patient.attempts - 1);
  return { ...patient, phase: 'backing-off', untilMs: nowMs + pauseMs };
}

/** The first limit that forbids an action. */
export function withheldBy(limits: HealingLimits): HealingReason | undefined {
  if (limits.isHeld) return 'held';
  if (limits.isFleetWide) return 'fleet-wide';
  if (limits.isTargetBusy || !limits.hasShare) return 'share-in-use';
  if (!limits.hasBudget) return 'budget-spent';
  return limits.hasRoom() ? undefined : 'no-room';
}
