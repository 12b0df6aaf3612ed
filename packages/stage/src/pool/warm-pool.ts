import {
  type Clock,
  InvalidOptionError,
  integer,
  objectWith,
  type OptionRule,
  optional,
  parseOptions,
  requireNode,
  systemClock,
  type Timer,
} from '@holdfast/foundation';
import { StageClosedError } from '../errors.ts';
import type { StageOptions } from '../options.ts';
import { type Stage, openStage } from '../stage.ts';
import { type IdleStage, toIdle } from './idle.ts';
import { LeaseSlots } from './lease-slots.ts';

/** Options of `openStagePool`. */
export interface StagePoolOptions<O extends StageOptions> {
  /** The options of each stage. */
  stage: O;
  /** How many stages are kept ready. Default 2. */
  spares?: number;
  /** How many stages may be leased at one time; further leases wait. Default 8. */
  maxLeases?: number;
  /**
   * How long after a lease its replacement is started, in milliseconds, so that it does not slow down the
   * beginning of the test. Default 250.
   */
  refillAfterMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** A stage that belongs to one caller until it is released. */
export interface StageLease<O extends StageOptions> {
  readonly stage: Stage<O>;
  /** Returns it, in whatever state; no other lease sees its data. */
  release(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Stages that are ready, and use no processor time until they are leased. */
export interface StagePool<O extends StageOptions> {
  /** The next ready stage, resumed; a new one when none is ready. @throws StageClosedError */
  lease(options?: { signal?: AbortSignal }): Promise<StageLease<O>>;
  /** Opens the missing stages; resolves when all are ready, and rejects when one could not be opened. */
  filled(): Promise<void>;
  /** Closes all stages, leased or not. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const stageRule: OptionRule<object> = {
  permitted: 'the options of openStage()',
  parse(value, field, owner) {
    if (typeof value === 'object' && value !== null) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};
const shape = {
  stage: stageRule,
  spares: integer({ min: 0, max: 100, default: 2 }),
  maxLeases: integer({ min: 1, max: 1_000, default: 8 }),
  refillAfterMs: integer({ min: 0, max: 60_000, default: 250 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};
const leaseShape = { signal: optional(objectWith<AbortSignal>(['aborted', 'addEventListener'])) };

/**
 * Opens a pool of ready stages. A standalone server is suspended until it is leased (SIGSTOP); members of a
 * topology run, because they would take each other for dead.
 * Opens one stage after the other; the first may fetch servers, and needs `STAGE_OPEN_TIMEOUT_MS`.
 * @throws what openStage() throws for the first of them.
 */
export async function openStagePool<const O extends StageOptions>(
  given: StagePoolOptions<O>,
): Promise<StagePool<O>> {
  requireNode('openStagePool');
  const options = parseOptions('openStagePool', shape, given);
  const pool = new WarmPool(given.stage, options);
  try {
    await pool.filled();
  } catch (error) {
    await pool.close();
    throw error;
  }
  return pool;
}

interface ResolvedPoolOptions {
  readonly spares: number;
  readonly maxLeases: number;
  readonly refillAfterMs: number;
  readonly clock: Clock;
}

class WarmPool<O extends StageOptions> implements StagePool<O> {
  readonly #stageOptions: O;
  readonly #options: ResolvedPoolOptions;
  readonly #ready: IdleStage<O>[] = [];
  readonly #leased = new Set<Stage<O>>();
  readonly #slots: LeaseSlots;
  readonly #closing = new AbortController();
  #isClosed = false;
  #refilling = Promise.resolve();
  #nextRefill: Timer | undefined;

  constructor(stageOptions: O, options: ResolvedPoolOptions) {
    const closing = this.#closing.signal;
    const { signal: given } = stageOptions;
    const signal = given === undefined ? closing : AbortSignal.any([given, closing]);
    this.#stageOptions = { ...stageOptions, signal };
    this.#options = options;
    this.#slots = new LeaseSlots(options.maxLeases);
  }

  async lease(given: { signal?: AbortSignal } = {}): Promise<StageLease<O>> {
    const { signal } = parseOptions('lease', leaseShape, given);
    signal?.throwIfAborted();
    this.#assertOpen();
    await this.#slots.acquire(signal);
    try {
      this.#assertOpen();
      const idle = this.#ready.shift();
      if (idle === undefined) return this.#leaseOf(await this.#open(false));
      await idle.wake();
      this.#refillLater();
      return this.#leaseOf(idle);
    } catch (error) {
      this.#slots.release();
      throw error;
    }
  }

  filled(): Promise<void> {
    this.#nextRefill?.cancel();
    this.#nextRefill = undefined;
    this.#refilling = this.#refilling.catch(() => undefined).then(() => this.#fill());
    this.#refilling.catch(() => undefined);
    return this.#refilling;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closing.abort(new StageClosedError('the spare'));
    this.#nextRefill?.cancel();
    this.#slots.releaseWaiters();
    await this.#refilling.catch(() => undefined);
    const stages = [...this.#ready.splice(0).map(({ stage }) => stage), ...this.#leased];
    await Promise.all(stages.map((stage) => stage.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new StageClosedError('the spare');
  }

  #isLacking(): boolean {
    return !this.#isClosed && this.#ready.length < this.#options.spares;
  }

  async #open(freezes: boolean): Promise<IdleStage<O>> {
    const stage: Stage<O> = await openStage(this.#stageOptions);
    try {
      const idle = await toIdle(stage, this.#options.clock, freezes);
      this.#assertOpen();
      return idle;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  async #fill(): Promise<void> {
    while (this.#isLacking()) {
      this.#ready.push(await this.#open(true));
    }
  }

  #refillLater(): void {
    const { clock, refillAfterMs } = this.#options;
    this.#nextRefill?.cancel();
    const refill = (): void => void this.filled();
    this.#nextRefill = clock.schedule(refillAfterMs, refill, { holdsProcess: false });
  }

  #leaseOf({ stage, reset }: IdleStage<O>): StageLease<O> {
    this.#leased.add(stage);
    let released: Promise<void> | undefined;
    const giveBack = async (): Promise<void> => {
      this.#leased.delete(stage);
      this.#slots.release();
      if (this.#isLacking() && (await reset())) {
        this.#ready.push({ stage, reset, wake: () => Promise.resolve() });
        return;
      }
      await stage.close();
      this.#refillLater();
    };
    const release = (): Promise<void> => (released ??= giveBack());
    return { stage, release, [Symbol.asyncDispose]: release };
  }
}
