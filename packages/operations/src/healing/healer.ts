import {
  type Emitter,
  InvalidOptionError,
  abortable,
  createEmitter,
  withDeadline,
} from '@holdfast/foundation';
import { type Patient, decideHealing, isConfirmed, newPatient, withheldBy } from './decide.ts';
import { HealerClosedError, HealingTimeoutError } from './errors.ts';
import type { Healer, HealerEvents, HealerStats, HealingReason, HealingSignal } from './healing.ts';
import {
  type HealerOptions,
  type ResolvedHealerOptions,
  type ResolvedPolicy,
  parseHealerOptions,
} from './options.ts';

const HOUR_MS = 3_600_000;
/** More targets than any fleet has: what reports under ever new names must not fill the memory. */
const MAX_PATIENTS = 100_000;

/** Makes a healer. @throws InvalidOptionError */
export function createHealer(options: HealerOptions): Healer {
  return new BoundedHealer(parseHealerOptions(options));
}

class BoundedHealer implements Healer {
  readonly on: Emitter<HealerEvents>['on'];
  readonly #emitter: Emitter<HealerEvents>;
  readonly #options: ResolvedHealerOptions;
  /** By condition, and then by target. */
  readonly #patients = new Map<string, Map<string, Patient>>();
  readonly #held = new Map<string | undefined, string>();
  /** The conditions that were escalated as ones of the whole fleet. */
  readonly #fleetWide = new Set<string>();
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #withheld: Partial<Record<HealingReason, number>> = {};
  #actionTimes: number[] = [];
  readonly #counts = { actions: 0, failedActions: 0, healed: 0, escalated: 0 };

  constructor(options: ResolvedHealerOptions) {
    this.#options = options;
    this.#emitter = createEmitter<HealerEvents>('holdfast:healing', {
      acted: true,
      'action-failed': true,
      healed: true,
      escalated: true,
    });
    this.on = this.#emitter.on;
  }

  report(signal: HealingSignal): HealingReason {
    if (this.#closing.signal.aborted) throw new HealerClosedError();
    const { target, condition, isPresent } = signal;
    const policy = this.#options.conditions.get(condition);
    if (policy === undefined) {
      const known = [...this.#options.conditions.keys()].join(', ');
      throw new InvalidOptionError('report', 'condition', condition, `one of ${known}`);
    }
    const nowMs = this.#options.clock.now();
    const patients = this.#patientsOf(condition);
    const before = patients.get(target) ?? newPatient(nowMs);
    const { patient, reason } = decideHealing(before, isPresent, policy, nowMs);
    if (patients.size >= MAX_PATIENTS && !patients.has(target)) {
      throw new InvalidOptionError('report', 'target', target, `one of at most ${MAX_PATIENTS}`);
    }
    patients.set(target, patient);
    if (reason === 'healed') {
      this.#counts.healed += 1;
      this.#emitter.emit('healed', { target, condition, attempts: patient.attempts });
    }
    if (reason === 'escalated' && before.phase !== 'escalated') {
      const { attempts } = patient;
      this.#escalate({ condition, target, attempts, reason: 'attempts-exhausted' });
    }
    const isQuiet = !isPresent && !this.#fleetWide.has(condition);
    const isFleetWide = !isQuiet && this.#checkFleet(condition, policy);
    if (reason !== 'act') return reason;
    const withheld = withheldBy({
      isHeld: this.#held.has(undefined) || this.#held.has(target),
      isFleetWide,
      isTargetBusy: [...this.#patients.values()].some((each) => isBusy(each.get(target))),
      hasShare: this.#busy() < this.#allowed(),
      hasBudget: this.#spent(nowMs) < this.#options.maxActionsPerHour,
      hasRoom: () => this.#options.hasRoom(target, condition),
    });
    if (withheld !== undefined) {
      this.#withheld[withheld] = (this.#withheld[withheld] ?? 0) + 1;
      return withheld;
    }
    this.#act(target, condition, policy, patient);
    return 'act';
  }

  hold(reason: string, target?: string): void {
    this.#held.set(target, reason);
  }

  release(target?: string): void {
    this.#held.delete(target);
  }

  getStats(): HealerStats {
    return { ...this.#counts, busy: this.#busy(), withheld: { ...this.#withheld } };
  }

  async close(): Promise<void> {
    this.#closing.abort(new HealerClosedError());
    await Promise.all(this.#running);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #patientsOf(condition: string): Map<string, Patient> {
    let patients = this.#patients.get(condition);
    if (patients === undefined) this.#patients.set(condition, (patients = new Map()));
    return patients;
  }

  /** Whether so many have the condition that it is not theirs; a person is asked once. */
  #checkFleet(condition: string, policy: ResolvedPolicy): boolean {
    const ill = [...this.#patientsOf(condition).values()].filter((each) =>
      isConfirmed(each, policy),
    );
    // A single one is never the fleet, however small it is.
    const least = Math.max(1, this.#options.fleetWideShare * this.#options.fleetSize());
    const isFleetWide = ill.length > least;
    if (!isFleetWide) this.#fleetWide.delete(condition);
    else if (!this.#fleetWide.has(condition)) {
      this.#fleetWide.add(condition);
      this.#escalate({ condition, attempts: 0, reason: 'fleet-wide' });
    }
    return isFleetWide;
  }

  #escalate(escalation: HealerEvents['escalated']): void {
    this.#counts.escalated += 1;
    this.#emitter.emit('escalated', escalation);
  }

  /** How many targets may be in an action: the share, rounded down, and one in any case. */
  #allowed(): number {
    return Math.max(1, Math.floor(this.#options.maxShare * this.#options.fleetSize()));
  }

  #busy(): number {
    let busy = 0;
    for (const patients of this.#patients.values()) {
      for (const patient of patients.values()) if (isBusy(patient)) busy += 1;
    }
    return busy;
  }

  #spent(nowMs: number): number {
    this.#actionTimes = this.#actionTimes.filter((atMs) => atMs > nowMs - HOUR_MS);
    return this.#actionTimes.length;
  }

  #act(target: string, condition: string, policy: ResolvedPolicy, patient: Patient): void {
    const { clock } = this.#options;
    const { actionTimeoutMs, verifyMs } = policy;
    const attempt = patient.attempts + 1;
    const patients = this.#patientsOf(condition);
    this.#actionTimes.push(clock.now());
    this.#counts.actions += 1;
    patients.set(target, { ...patient, phase: 'acting', attempts: attempt });
    this.#emitter.emit('acted', { target, condition, attempt });
    const late = (): Error => new HealingTimeoutError(condition, target, actionTimeoutMs);
    const action = withDeadline(clock, actionTimeoutMs, this.#closing.signal, late, (signal) =>
      // An action that ignores its signal must not hold its share for ever.
      abortable(Promise.resolve(policy.act(target, { attempt, signal })), signal),
    )
      .catch((error: unknown) => {
        if (this.#closing.signal.aborted) return;
        this.#counts.failedActions += 1;
        this.#emitter.emit('action-failed', { target, condition, error });
      })
      .then(() => {
        // Only the signal tells whether it worked, whatever the action says of itself.
        const current = patients.get(target) ?? newPatient(clock.now());
        const untilMs = clock.now() + verifyMs;
        patients.set(target, { ...current, phase: 'verifying', untilMs, reports: [] });
        this.#running.delete(action);
      });
    this.#running.add(action);
  }
}

function isBusy(patient: Patient | undefined): boolean {
  return patient?.phase === 'acting' || patient?.phase === 'verifying';
}
