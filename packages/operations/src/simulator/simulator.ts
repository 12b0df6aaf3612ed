/**
 * A day in seconds: one virtual clock, one seed and one trace. Whatever takes a `Clock` and a `Random` runs on it
 * unchanged; nothing in it waits for real time, and the same seed gives the same trace on every machine.
 */
import { createHash } from 'node:crypto';
import {
  type Clock,
  type Random,
  type Timer,
  callback,
  derivedSeed,
  integer,
  parseOptions,
  seededRandom,
} from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';

/** Options of `createSimulator`. */
export interface SimulatorOptions {
  /** Decides every random number of the run. Default 1. */
  seed?: number;
  /** The wall clock at the start, in milliseconds since the Unix epoch. Default 1 700 000 000 000. */
  startEpochMs?: number;
  /** Entries of the trace that are kept, the newest; the digest covers all of them. Default 10 000. */
  maxTraceEntries?: number;
  /** Called for each entry of the trace, such as to print it. Default: nothing. */
  onRecord?: (entry: TraceEntry) => void;
}

/** What an entry of the trace tells; only values that are written the same on every machine. */
export type TraceDetail = Readonly<Record<string, string | number | boolean>>;

/** One thing that happened, at the virtual time. */
export interface TraceEntry {
  readonly atMs: number;
  readonly kind: string;
  readonly detail: TraceDetail;
}

/** The virtual world on which decisions are tried. */
export interface Simulator {
  readonly seed: number;
  /** For everything that takes a `Clock`; only {@link Simulator.run} moves it. */
  readonly clock: Clock;
  /** A sequence of its own for each name: what one part draws changes nothing for another. */
  random(name: string): Random;
  /** Calls `act` every `intervalMs` of virtual time, first after one interval, until the timer is canceled. */
  every(intervalMs: number, act: () => void): Timer;
  /** Adds an entry to the trace. */
  record(kind: string, detail?: TraceDetail): void;
  /** The newest entries of the trace, oldest first. */
  trace(): readonly TraceEntry[];
  /** SHA-256 of all entries so far, in hexadecimal: equal digests are equal traces. */
  digest(): string;
  /** Lets `durationMs` of virtual time pass; promises settle at their own moments in it. */
  run(durationMs: number): Promise<void>;
}

const INT_MAX = 2_147_483_647;
const schema = {
  seed: integer({ min: 0, max: INT_MAX, default: 1 }),
  startEpochMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 1_700_000_000_000 }),
  maxTraceEntries: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  onRecord: callback<(entry: TraceEntry) => void>(() => {}),
};

/**
 * Makes a virtual world.
 * @throws InvalidOptionError
 */
export function createSimulator(options: SimulatorOptions = {}): Simulator {
  const resolved = parseOptions('createSimulator', schema, options);
  const { seed, maxTraceEntries, onRecord } = resolved;
  const clock = createFakeClock(resolved.startEpochMs);
  const hash = createHash('sha256');
  let entries: TraceEntry[] = [];
  return {
    seed,
    clock,
    random: (name) => seededRandom(derivedSeed(seed, ...Buffer.from(name))),
    every(intervalMs, act) {
      const run = (): void => {
        timer = clock.schedule(intervalMs, run);
        act();
      };
      let timer = clock.schedule(intervalMs, run);
      return { cancel: () => timer.cancel() };
    },
    record(kind, detail = {}) {
      const entry = { atMs: clock.now(), kind, detail };
      hash.update(`${JSON.stringify(entry)}\n`);
      entries.push(entry);
      // Cut now and then, because to remove the first of an array costs as much as all of it.
      if (entries.length >= maxTraceEntries * 2) entries = entries.slice(-maxTraceEntries);
      onRecord(entry);
    },
    trace: () => entries.slice(-maxTraceEntries),
    digest: () => hash.copy().digest('hex'),
    run: (durationMs) => clock.advance(durationMs),
  };
}
