import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  parseOptions,
  string,
} from '@holdfast/foundation';

/** How long a fault stays, unless it is cleared before. */
interface Bounded {
  forMs: number;
}

/** The options of every resource fault, by its name. */
export interface ResourceFaults {
  /** `bytes` more are held, written to, so that they are really used. */
  memory: Bounded & { bytes: number };
  /** The event loop stands still for `forMs`. */
  stall: Bounded;
  /** So many threads compute without a rest. Default 1. */
  cpu: Bounded & { threads?: number };
  /** A file of up to `bytes` in `directory`, less where the disk ends before. */
  disk: Bounded & { directory: string; bytes: number };
  /** Up to `count` more descriptors are open, less where the limit comes before. */
  descriptors: Bounded & { count: number };
  /** The wall clock is ahead by `stepMs`, or behind; what is monotonic stays. */
  clock: Bounded & { stepMs: number };
}

export type ResourceFaultKind = keyof ResourceFaults;

export const resourceFaultKinds: readonly ResourceFaultKind[] = [
  'memory',
  'stall',
  'cpu',
  'disk',
  'descriptors',
  'clock',
];

/** A fault's options as read; what its kind does not take is 0 or empty. */
export interface ResolvedResourceFault {
  readonly forMs: number;
  readonly amount: number;
  readonly directory: string;
}

const DAY_MS = 86_400_000;
const GIB = 1_073_741_824;
const forMs = integer({ min: 1, max: DAY_MS });
const year = 366 * DAY_MS;

const shapes: Readonly<Record<ResourceFaultKind, Readonly<Record<string, OptionRule<unknown>>>>> = {
  memory: { forMs, bytes: integer({ min: 1, max: 64 * GIB }) },
  stall: { forMs },
  cpu: { forMs, threads: integer({ min: 1, max: 256, default: 1 }) },
  disk: {
    forMs,
    directory: string({ maxLength: 4_096 }),
    bytes: integer({ min: 1, max: 64 * GIB }),
  },
  descriptors: { forMs, count: integer({ min: 1, max: 1_000_000 }) },
  clock: { forMs, stepMs: integer({ min: -10 * year, max: 10 * year }) },
};
const amounts = ['bytes', 'threads', 'count', 'stepMs'] as const;
const kindShape = { kind: oneOf(resourceFaultKinds) };

/** @throws InvalidOptionError, also for a kind that is not known. */
export function parseResourceFault(
  kind: ResourceFaultKind,
  options: unknown,
): ResolvedResourceFault {
  parseOptions('faults.set', kindShape, { kind });
  const read = parseOptions(`faults.set('${kind}')`, shapes[kind], options);
  const numberOf = (name: string): number => {
    const value = read[name];
    return typeof value === 'number' ? value : 0;
  };
  const amount = amounts.map(numberOf).find((value) => value !== 0) ?? 0;
  const { directory } = read;
  if (kind === 'clock' && amount === 0) {
    throw new InvalidOptionError(`faults.set('clock')`, 'stepMs', 0, 'a step, forward or back');
  }
  return {
    forMs: numberOf('forMs'),
    amount,
    directory: typeof directory === 'string' ? directory : '',
  };
}
