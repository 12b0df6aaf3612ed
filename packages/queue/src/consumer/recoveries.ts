import type { Clock } from '@holdfast/foundation';
import type { Delivery, RecoveredDeliveries, Subscription } from '../backend.ts';
import type { ResolvedProcessOptions } from '../options.ts';
import type { Attempts } from './attempts.ts';
import { TakeoverGuard } from './takeover-guard.ts';

interface RecoveriesDeps {
  readonly subscription: Subscription;
  readonly clock: Clock;
  readonly options: Pick<ResolvedProcessOptions, 'leaseMs' | 'maxAttempts' | 'maxCrashes'>;
  readonly attempts: Attempts;
  /**
   * Called before the leases count as certain: `lost` went to other consumers, and others may have handled `gone` when
   * their leases had expired.
   */
  readonly onLost: (lost: readonly string[], gone: readonly string[]) => void;
}

/** Orphaned jobs are looked for this often in a lease, within these bounds in milliseconds. */
const RECOVERIES_PER_LEASE = 6;
const MIN_RECOVERY_MS = 100;
const MAX_RECOVERY_MS = 5_000;
/** The longest wait for new jobs while a job runs alone: the next one is then taken over. */
const SHORT_WAIT_MS = 100;

/** Renews leases, and decides when to look for orphaned jobs and which of them to take over. */
export class Recoveries {
  readonly #deps: RecoveriesDeps;
  readonly #everyMs: number;
  readonly #guard: TakeoverGuard;
  /** The handles of jobs that were taken over for their last delivery. */
  readonly #alone = new Set<string>();
  #lastMs = -Infinity;
  /** When the last renewal that was answered began. */
  #renewedMs = -Infinity;

  constructor(deps: RecoveriesDeps) {
    const { leaseMs } = deps.options;
    const everyMs = Math.max(MIN_RECOVERY_MS, leaseMs / RECOVERIES_PER_LEASE);
    this.#deps = deps;
    this.#everyMs = Math.min(MAX_RECOVERY_MS, everyMs);
    this.#guard = new TakeoverGuard(leaseMs);
  }

  /** How long to wait for new jobs before orphaned ones are looked for; not positive when that is due. */
  get waitMs(): number {
    const dueInMs = this.#lastMs + this.#everyMs - this.#deps.clock.now();
    return Math.ceil(this.#alone.size > 0 ? Math.min(SHORT_WAIT_MS, dueInMs) : dueInMs);
  }

  /**
   * Whether the leases of the jobs that this consumer holds are certain. Where they are not, another consumer may have
   * taken a job over: it must not be started.
   */
  get isCertain(): boolean {
    return this.#sinceRenewalMs < this.#deps.options.leaseMs / 2;
  }

  /** Nothing was renewed for a while, because there was neither room for jobs nor one to hold. */
  get isOverdue(): boolean {
    return this.#sinceRenewalMs >= this.#deps.options.leaseMs / 4;
  }

  get #sinceRenewalMs(): number {
    return this.#deps.clock.now() - this.#renewedMs;
  }

  /** All orphaned jobs were taken over: the next time is later. */
  complete(): void {
    this.#lastMs = this.#deps.clock.now();
  }

  /** The store failed: there may be jobs whose delivery was lost, and others could not renew their leases. */
  failed(): void {
    this.#lastMs = -Infinity;
    this.#guard.failed();
  }

  /** The store answered a call that started at `startedMs`, and may have waited for `waitMs`. */
  answered(startedMs: number, waitMs: number = 0): void {
    const nowMs = this.#deps.clock.now();
    this.#guard.answered(startedMs, nowMs, waitMs);
    // The leases of the jobs in the answer may have expired on its way.
    if (nowMs - startedMs >= this.#deps.options.leaseMs / 2) this.#renewedMs = -Infinity;
  }

  /** Renews the leases, and takes up to `room` jobs over where that is safe. */
  async recover(held: readonly string[], room: number): Promise<RecoveredDeliveries> {
    const { subscription, clock, options, onLost } = this.#deps;
    const wasCertain = this.isCertain;
    const startedMs = clock.now();
    const mayTakeOver = this.#guard.mayTakeOver(startedMs);
    const { maxAttempts, maxCrashes } = options;
    const max = this.#alone.size > 0 ? 0 : 1;
    try {
      const recovered = await subscription.recover(held, room, mayTakeOver, {
        delivery: maxCrashes ?? maxAttempts,
        max,
        ...(maxCrashes !== undefined && { isOfCrashes: true }),
      });
      onLost(recovered.lost, wasCertain ? [] : (recovered.gone ?? []));
      this.#renewedMs = startedMs;
      this.answered(startedMs);
      return recovered;
    } catch (error) {
      this.#guard.failed();
      throw error;
    }
  }

  /** The job was taken over, and runs. */
  started(delivery: Delivery): void {
    if (this.#deps.attempts.isLast(delivery)) this.#alone.add(delivery.handle);
  }

  /** The job has left its slot: the next one may be taken over for its last delivery. */
  ended(handle: string): void {
    if (this.#alone.delete(handle)) this.#lastMs = -Infinity;
  }
}
