import {
  type Clock,
  derivedSeed,
  objectWith,
  integer,
  InvalidOptionError,
  optional,
  parseOptions,
  type OptionRule,
  seededRandom,
  sleep,
  systemClock,
} from '@holdfast/foundation';
import { type ProxyFaultKind, type ProxyFaultSpec, faultKindNames } from '../proxy/fault-kinds.ts';
import type { FaultProxy } from '../proxy/fault-proxy.ts';
import { randomFault } from './random-fault.ts';

/** When a fault of a storm is there. */
export interface TimedFault {
  readonly atMs: number;
  readonly forMs: number;
}

/** One fault of a storm: what, when and for how long. */
export interface StormFault extends TimedFault {
  readonly setting: ProxyFaultSpec;
}

/** Faults and their times as plain data: they can be printed, kept and played again. */
export interface Schedule<Fault extends TimedFault> {
  readonly seed: number;
  readonly durationMs: number;
  /** By `atMs`. */
  readonly faults: readonly Fault[];
}

/** A schedule for one proxy; faults of the same kind do not overlap. */
export type Storm = Schedule<StormFault>;

export interface StormOptions {
  /** How long it lasts. Default 10 000. */
  durationMs?: number;
  /** How many faults it has at most. Default 10. */
  maxFaults?: number;
  /** What it may draw. Default: every fault but `corrupt`, which nothing over TCP can notice. */
  kinds?: readonly ProxyFaultKind[];
}

/** The faults after which every byte arrives all the same, once, and in its order. */
export const losslessFaults: readonly ProxyFaultKind[] = [
  'slice',
  'latency',
  'bandwidth',
  'slowClose',
  'blackhole',
  'silence',
];

const permittedKinds = `a list of ${faultKindNames.join(', ')}`;
/** Reads the kinds that a storm may draw. */
export const kindsRule: OptionRule<readonly ProxyFaultKind[]> = {
  permitted: permittedKinds,
  parse(value, field, owner) {
    if (!isKinds(value)) throw new InvalidOptionError(owner, field, value, permittedKinds);
    return value;
  },
  defaultValue: () => faultKindNames.filter((kind) => kind !== 'corrupt'),
};

/** Where the chance of a storm begins. */
export const seedRule: OptionRule<number> = integer({
  min: Number.MIN_SAFE_INTEGER,
  max: Number.MAX_SAFE_INTEGER,
});

const shape = {
  durationMs: integer({ min: 1, max: 86_400_000, default: 10_000 }),
  maxFaults: integer({ min: 1, max: 1_000, default: 10 }),
  kinds: kindsRule,
};

const playShape = {
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  signal: optional(objectWith<AbortSignal>(['addEventListener', 'aborted'])),
};

/**
 * Draws a storm; the same seed and options give the same one.
 * @param seed any whole number; only its lower 32 bits count.
 * @throws InvalidOptionError
 */
export function storm(seed: number, options?: StormOptions): Storm {
  seedRule.parse(seed, 'seed', 'storm');
  const { durationMs, maxFaults, kinds } = parseOptions('storm', shape, options);
  const faults: StormFault[] = [];
  for (let index = 0; index < maxFaults; index += 1) {
    const random = seededRandom(derivedSeed(seed, index));
    const kind = kinds[Math.floor(random() * kinds.length)];
    const atMs = Math.floor(random() * durationMs);
    const forMs = Math.max(1, Math.floor(random() ** 2 * (durationMs - atMs)));
    const overlaps = faults.some(
      (other) => other.setting.kind === kind && overlap(other, { atMs, forMs }),
    );
    if (kind === undefined || overlaps) continue;
    faults.push({ atMs, forMs, setting: randomFault(kind, random) });
  }
  return { seed, durationMs, faults: faults.toSorted((one, other) => one.atMs - other.atMs) };
}

/**
 * Lets a storm loose on a proxy; resolves when it is over and the proxy is healed, which it is whatever
 * happens. @throws the signal's own reason, ProxyListenError
 */
export async function playStorm(
  proxy: FaultProxy,
  { durationMs, faults }: Storm,
  options?: { clock?: Clock; signal?: AbortSignal },
): Promise<void> {
  const { clock, signal } = parseOptions('playStorm', playShape, options);
  const turns = faults
    .flatMap(({ atMs, forMs, setting }) => [
      { atMs, turn: async (): Promise<void> => proxy.faults.apply(setting) },
      { atMs: atMs + forMs, turn: async (): Promise<void> => proxy.faults.clear(setting.kind) },
    ])
    .toSorted((one, other) => one.atMs - other.atMs);
  const beganMs = clock.now();
  const until = (atMs: number): Promise<void> =>
    sleep(clock, Math.max(0, beganMs + atMs - clock.now()), signal);
  try {
    for (const { atMs, turn } of turns) {
      await until(atMs);
      await turn();
    }
    await until(durationMs);
  } finally {
    await proxy.heal();
  }
}

/** Whether two faults are there at the same time, or touch. */
export function overlap(one: TimedFault, other: TimedFault): boolean {
  return one.atMs <= other.atMs + other.forMs && other.atMs <= one.atMs + one.forMs;
}

function isKinds(value: unknown): value is readonly ProxyFaultKind[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((kind) => faultKindNames.some((known) => known === kind))
  );
}
