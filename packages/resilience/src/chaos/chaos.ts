import {
  type Clock,
  createEmitter,
  boolean,
  objectWith,
  integer,
  InvalidOptionError,
  type Subscribe,
  parseOptions,
  type OptionRule,
  seededRandom,
  systemClock,
} from '@holdfast/foundation';
import type { ChaosStrategy } from './strategy.ts';

export interface ChaosOptions<T = never> {
  /** In the order in which they strike; one call may meet several. */
  strategies: readonly ChaosStrategy<T>[];
  /** Whether it strikes from the start. Default false. */
  enabled?: boolean;
  /** Where chance begins: the same seed and the same calls give the same trouble. Default 1. */
  seed?: number;
  clock?: Clock;
}

export interface ChaosEvents {
  struck: { kind: ChaosStrategy['kind']; callNumber: number; seed: number };
}

export interface ChaosStats {
  readonly enabled: boolean;
  readonly seed: number;
  /** Calls that passed while it was enabled. */
  readonly callCount: number;
  readonly struckCount: number;
}

/**
 * Makes trouble inside the pipeline, right before the work, so that the policies around it prove what
 * they are worth. While it is off, a call goes straight through: nothing is drawn, awaited or allocated.
 */
export interface Chaos<T = never> {
  readonly enabled: boolean;
  enable(): void;
  disable(): void;
  /** @throws what a strategy or `fn` threw, or the signal's own reason. */
  execute<R>(
    fn: (signal: AbortSignal | undefined) => R | PromiseLike<R>,
    options?: { signal?: AbortSignal | undefined },
  ): R | T | PromiseLike<R | T>;
  getStats(): ChaosStats;
  readonly on: Subscribe<ChaosEvents>;
}

const shape = {
  enabled: boolean(false),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** Spreads the calls of one seed over all seeds: the golden ratio in 32 bits. */
const CALL_STRIDE = 0x9e3779b9;

/** @throws InvalidOptionError */
export function createChaos<T = never>(options: ChaosOptions<T>): Chaos<T> {
  const settled = parseOptions(
    'createChaos',
    { ...shape, strategies: strategiesRule<T>() },
    options,
  );
  const { strategies, seed, clock } = settled;
  const announcer = createEmitter<ChaosEvents>('holdfast:chaos');
  let { enabled } = settled;
  let calls = 0;
  let struck = 0;

  /** A call's trouble is drawn from a sequence of its own, so that it does not depend on what else runs. */
  const troubled = async <R>(
    fn: (signal: AbortSignal | undefined) => R | PromiseLike<R>,
    signal: AbortSignal | undefined,
  ): Promise<R | T> => {
    calls += 1;
    const callNumber = calls;
    const random = seededRandom((seed + Math.imul(callNumber, CALL_STRIDE)) | 0);
    const from = async (index: number): Promise<R | T> => {
      const strategy = strategies[index];
      if (strategy === undefined) return fn(signal);
      const rate = typeof strategy.rate === 'function' ? strategy.rate() : strategy.rate;
      if (random() >= rate) return from(index + 1);
      struck += 1;
      announcer.emit('struck', { kind: strategy.kind, callNumber, seed });
      return strategy.strike(() => from(index + 1), { signal, clock, random });
    };
    signal?.throwIfAborted();
    return from(0);
  };

  return {
    get enabled() {
      return enabled;
    },
    enable: () => void (enabled = true),
    disable: () => void (enabled = false),
    execute: (fn, given) => (enabled ? troubled(fn, given?.signal) : fn(given?.signal)),
    getStats: () => ({ enabled, seed, callCount: calls, struckCount: struck }),
    on: announcer.on,
  };
}

function strategiesRule<T>(): OptionRule<readonly ChaosStrategy<T>[]> {
  const permitted = 'a list of one to a hundred chaos strategies';
  const isStrategies = (value: unknown): value is readonly ChaosStrategy<T>[] =>
    Array.isArray(value) && value.length > 0 && value.length <= 100 && value.every(isStrategy);
  return {
    permitted,
    parse(value, field, owner) {
      if (!isStrategies(value)) throw new InvalidOptionError(owner, field, value, permitted);
      return value;
    },
  };
}

function isStrategy(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'strike' in value && 'rate' in value;
}
