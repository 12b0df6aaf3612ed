import { createHash } from 'node:crypto';
import {
  type OptionRule,
  type Random,
  derivedSeed,
  integer,
  number,
  seededRandom,
} from '@holdfast/foundation';
import type { DecisionLog } from './decision-log.ts';

/** What every fault has that is injected into single calls. */
export interface CountedFault {
  /** The share of the calls it is injected into, 0 to 1. */
  readonly probability: number;
  /** How often it is injected at most. */
  readonly times: number;
}

/** Rules for {@link CountedFault}: by default a fault is injected into every call. */
export const countedShape: {
  readonly [Name in keyof CountedFault]: OptionRule<CountedFault[Name]>;
} = {
  probability: number({ min: 0, max: 1, default: 1 }),
  times: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: Number.MAX_SAFE_INTEGER }),
};

/** A fault to inject into one call. */
export interface DrawnFault<Kind extends string, Fault extends CountedFault> {
  readonly kind: Kind;
  readonly fault: Fault;
  /** The rest of the sequence that decided for this fault and this call. */
  readonly random: Random;
  /** Says that the fault had its effect, and counts it; again is without an effect. */
  felt(): void;
  /**
   * Says that the call is over: a fault that was not felt counts neither as injected nor as one of its times. Without an
   * effect on one that was felt.
   */
  unfelt(): void;
}

/** What identifies a call: numbers, or a key and how often it was called. */
type CallId = readonly (number | string)[];

interface FaultInjectorOptions<Kind extends string> {
  readonly seed: number;
  readonly log: DecisionLog;
  /** The faults that a call cannot feel when it feels this one. Default: none. */
  readonly hides?: (kind: Kind) => readonly Kind[];
}

interface SetFault<Fault> {
  readonly fault: Fault;
  timesLeft: number;
}

/** A fault that a call is exposed to; only its outcome tells whether the fault was felt. */
export interface Exposure {
  /** Counts the fault when it was felt, and gives its turn back otherwise. */
  settle(isFelt: boolean): void;
}

/** Holds the faults that are set and decides into which calls they are injected, from a seed. */
export class FaultInjector<Kind extends string, Fault extends CountedFault> {
  readonly #kinds: readonly Kind[];
  readonly #seed: number;
  readonly #log: DecisionLog;
  readonly #hides: (kind: Kind) => readonly Kind[];
  readonly #faults = new Map<Kind, SetFault<Fault>>();
  readonly #injected: Partial<Record<Kind, number>> = {};

  /** @param kinds every kind, in the order in which a call meets them. */
  constructor(kinds: readonly Kind[], { seed, log, hides = () => [] }: FaultInjectorOptions<Kind>) {
    this.#kinds = kinds;
    this.#seed = seed;
    this.#log = log;
    this.#hides = hides;
  }

  set(kind: Kind, fault: Fault): void {
    this.#faults.set(kind, { fault, timesLeft: fault.times });
  }

  clear(kind: Kind): void {
    this.#faults.delete(kind);
  }

  clearAll(): void {
    this.#faults.clear();
  }

  /** Returns the fault of a kind, when it is set. */
  get(kind: Kind): Fault | undefined {
    return this.#faults.get(kind)?.fault;
  }

  list(): readonly Kind[] {
    return this.#kinds.filter((kind) => this.#faults.has(kind));
  }

  /** How often each fault was felt. */
  injected(): Readonly<Partial<Record<Kind, number>>> {
    return { ...this.#injected };
  }

  /** Returns every fault to inject into a call, without those that another one hides. */
  draw(call: CallId): DrawnFault<Kind, Fault>[] {
    if (this.#faults.size === 0) return [];
    const randoms = new Map<Kind, Random>();
    const hidden = new Set<Kind>();
    for (const [index, kind] of this.#kinds.entries()) {
      const random = this.#drawRandom(index, call);
      if (random === undefined) continue;
      randoms.set(kind, random);
      if (!hidden.has(kind)) for (const each of this.#hides(kind)) hidden.add(each);
    }
    return [...randoms].flatMap(([kind, random]) => {
      this.#record(call, kind, hidden.has(kind) ? 'hidden' : 'injected');
      return hidden.has(kind) ? [] : (this.#take(kind, random) ?? []);
    });
  }

  /** Returns the first fault to inject into a call among those that apply to it. */
  drawFirst(
    call: CallId,
    applies: (fault: Fault, kind: Kind) => boolean,
  ): DrawnFault<Kind, Fault> | undefined {
    if (this.#faults.size === 0) return undefined;
    for (const [index, kind] of this.#kinds.entries()) {
      const random = this.#drawRandom(index, call, applies);
      if (random === undefined) continue;
      this.#record(call, kind, 'injected');
      return this.#take(kind, random);
    }
    return undefined;
  }

  /** Decides whether a call is exposed to a fault of one kind. */
  expose(
    kind: Kind,
    call: readonly number[],
    applies: (fault: Fault) => boolean,
  ): Exposure | undefined {
    const entry = this.#faults.get(kind);
    if (entry === undefined || entry.timesLeft <= 0 || !applies(entry.fault)) return undefined;
    const random = seededRandom(derivedSeed(this.#seed, this.#kinds.indexOf(kind), ...call));
    const name = `${call.join(' ')} ${kind}`;
    if (random() >= entry.fault.probability) {
      this.#log.record(`${name} spared`);
      return undefined;
    }
    entry.timesLeft -= 1;
    return {
      settle: (isFelt) => {
        if (isFelt) {
          this.#log.record(`${name} injected`);
          this.#injected[kind] = (this.#injected[kind] ?? 0) + 1;
        } else {
          entry.timesLeft += 1;
        }
      },
    };
  }

  /**
   * Decides whether a fault strikes a call, and returns the rest of its sequence then. Each kind draws from a sequence of
   * its own, so that one fault does not change another's decisions.
   */
  #drawRandom(
    index: number,
    call: CallId,
    applies?: (fault: Fault, kind: Kind) => boolean,
  ): Random | undefined {
    const kind = this.#kinds[index];
    const entry = kind === undefined ? undefined : this.#faults.get(kind);
    if (kind === undefined || entry === undefined) return undefined;
    if (applies?.(entry.fault, kind) === false) return undefined;
    const random = seededRandom(derivedSeed(this.#seed, index, ...numbersOf(call)));
    if (random() < entry.fault.probability && entry.timesLeft > 0) return random;
    this.#record(call, kind, 'spared');
    return undefined;
  }

  #record(call: CallId, kind: Kind, decision: 'injected' | 'hidden' | 'spared'): void {
    const isKeyed = call.some((part) => typeof part === 'string');
    this.#log.record(`${call.join(' ')} ${kind} ${decision}`, { isOrdered: !isKeyed });
  }

  #take(kind: Kind, random: Random): DrawnFault<Kind, Fault> | undefined {
    const entry = this.#faults.get(kind);
    if (entry === undefined) return undefined;
    entry.timesLeft -= 1;
    let state: 'drawn' | 'felt' | 'unfelt' = 'drawn';
    const count = (): void => {
      this.#injected[kind] = (this.#injected[kind] ?? 0) + 1;
    };
    return {
      kind,
      fault: entry.fault,
      random,
      felt() {
        if (state !== 'drawn') return;
        count();
        state = 'felt';
      },
      unfelt() {
        if (state !== 'drawn') return;
        entry.timesLeft += 1;
        state = 'unfelt';
      },
    };
  }
}

/** Returns a function by which each of some kinds hides all that come after it. */
export function hidesLater<Kind extends string>(
  kinds: readonly Kind[],
  ending: (kind: Kind) => boolean,
): (kind: Kind) => readonly Kind[] {
  return (kind) => (ending(kind) ? kinds.slice(kinds.indexOf(kind) + 1) : []);
}

function numbersOf(call: CallId): readonly number[] {
  return call.flatMap((part) => (typeof part === 'number' ? [part] : hashOf(part)));
}

/** Returns 64 bits of a text's hash. */
function hashOf(text: string): readonly number[] {
  const digest = createHash('sha256').update(text).digest();
  return [digest.readInt32LE(0), digest.readInt32LE(4)];
}
