import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  parseOptions,
  string,
} from '@holdfast/foundation';

/** How long a fault stays, unless it is cleared earlier. */
interface Bounded {
  forMs: number;
}

/** The options of each resource fault, by its kind. */
export interface ResourceFaults {
  /** Allocates and writes `bytes`, so that they are resident. */
  memory: Bounded & { bytes: number };
  /** Blocks the event loop for `forMs`. */
  stall: Bounded;
  /** Keeps `threads` busy. Default 1. */
  cpu: Bounded & { threads?: number };
  /**
   * Takes up to `bytes` of the disk of `directory`, fewer when it is full earlier, in a file without a name: whoever
   * ends, the space is free again.
   */
  disk: Bounded & { directory: string; bytes: number };
  /** Opens up to `count` descriptors, fewer when the limit is reached earlier. */
  descriptors: Bounded & { count: number };
  /** Moves the wall clock by `stepMs`; monotonic clocks stay. */
  clock: Bounded & { stepMs: number };
}

/** The name of a fault of a process. */
export type ResourceFaultKind = keyof ResourceFaults;
/** What is taken inside the process; a disk is not a process's own. */
export type AgentFaultKind = Exclude<ResourceFaultKind, 'disk'>;

export const agentFaultKinds: readonly AgentFaultKind[] = [
  'memory',
  'stall',
  'cpu',
  'descriptors',
  'clock',
];

/** A fault's options with defaults applied; an option that its kind does not take is 0 or empty. */
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
const resourceFaultKinds: readonly ResourceFaultKind[] = [...agentFaultKinds, 'disk'];
const kindShape = { kind: oneOf(resourceFaultKinds) };

/** @throws InvalidOptionError, also for an unknown kind. */
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
    throw new InvalidOptionError(`faults.set('clock')`, 'stepMs', 0, 'a step forward or back');
  }
  return {
    forMs: numberOf('forMs'),
    amount,
    directory: typeof directory === 'string' ? directory : '',
  };
}
