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
import { type Schedule, type TimedFault, drawn, inOrder, overlap } from './schedule.ts';

/** One fault of a storm and its time. */
export interface StormFault extends TimedFault {
  readonly fault: ProxyFaultSpec;
}

/** A schedule for one proxy; faults of the same kind do not overlap. */
export type Storm = Schedule<StormFault>;

/** Options of `storm`. All times in milliseconds. */
export interface StormOptions {
  /** How long it lasts. Default 10 000. */
  durationMs?: number;
  /** The maximum number of faults. Default 10. */
  maxFaults?: number;
  /** The kinds to draw from. Default: every kind but `corrupt`, which TCP does not detect. */
  kinds?: readonly ProxyFaultKind[];
}

/** The faults after which every byte arrives once and in order. */
export const losslessFaults: readonly ProxyFaultKind[] = [
  'slice',
  'latency',
  'bandwidth',
  'slowClose',
  'blackhole',
  'silence',
];

const permittedKinds = `a list of ${faultKindNames.join(', ')}`;
/** Accepts the kinds a storm draws from. */
export const kindsRule: OptionRule<readonly ProxyFaultKind[]> = {
  permitted: permittedKinds,
  parse(value, field, owner) {
    if (!isKinds(value)) throw new InvalidOptionError(owner, field, value, permittedKinds);
    return value;
  },
  defaultValue: () => faultKindNames.filter((kind) => kind !== 'corrupt'),
};

/** Accepts the seed of a storm. */
export const seedRule: OptionRule<number> = integer({
  min: Number.MIN_SAFE_INTEGER,
  max: Number.MAX_SAFE_INTEGER,
});

const shape = {
  durationMs: integer({ min: 1, max: 86_400_000, default: 10_000 }),
  maxFaults: integer({ min: 1, max: 1_000, default: 10 }),
  kinds: kindsRule,
};

/** Rules for the options of playing a storm. */
export const playShape: {
  readonly clock: OptionRule<Clock>;
  readonly signal: OptionRule<AbortSignal | undefined>;
} = {
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  signal: optional(objectWith<AbortSignal>(['addEventListener', 'aborted'])),
};

/**
 * Draws a storm; equal seeds and options give equal storms.
 * @param seed any integer; its lower 32 bits are used.
 * @throws InvalidOptionError
 */
export function storm(seed: number, options?: StormOptions): Storm {
  seedRule.parse(seed, 'seed', 'storm');
  const read = parseOptions('storm', shape, options);
  const { durationMs, maxFaults, kinds } = read;
  const faults: StormFault[] = [];
  for (let index = 0; index < maxFaults; index += 1) {
    const random = seededRandom(derivedSeed(seed, index));
    const kind = kinds[Math.floor(random() * kinds.length)];
    const atMs = Math.floor(random() * durationMs);
    const forMs = Math.max(1, Math.floor(random() ** 2 * (durationMs - atMs)));
    const overlaps = faults.some(
      (other) => other.fault.kind === kind && overlap(other, { atMs, forMs }),
    );
    if (kind === undefined || overlaps) continue;
    faults.push({ atMs, forMs, fault: randomFault(kind, random) });
  }
  const call = { name: 'storm', options: options && read };
  return drawn({ seed, durationMs, faults: inOrder(faults) }, call);
}

/**
 * Runs a storm on a proxy and resolves when it is over. The proxy is healed in any case.
 * @throws the signal's reason, ProxyListenError
 */
export async function playStorm(
  proxy: FaultProxy,
  { durationMs, faults }: Storm,
  options?: { clock?: Clock; signal?: AbortSignal },
): Promise<void> {
  const { clock, signal } = parseOptions('playStorm', playShape, options);
  const steps = inOrder(
    faults.flatMap(({ atMs, forMs, fault }) => [
      { atMs, run: async (): Promise<void> => proxy.faults.apply(fault) },
      { atMs: atMs + forMs, run: async (): Promise<void> => proxy.faults.clear(fault.kind) },
    ]),
  );
  const beganMs = clock.now();
  const until = (atMs: number): Promise<void> =>
    sleep(clock, Math.max(0, beganMs + atMs - clock.now()), signal);
  try {
    for (const { atMs, run } of steps) {
      await until(atMs);
      await run();
    }
    await until(durationMs);
  } finally {
    await proxy.heal();
  }
}

function isKinds(value: unknown): value is readonly ProxyFaultKind[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((kind) => faultKindNames.some((known) => known === kind))
  );
}
