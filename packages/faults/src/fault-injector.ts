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
}

/** Holds the faults that are set and decides into which calls they are injected, from a seed. */
export class FaultInjector<Kind extends string, Fault extends CountedFault> {
  readonly #kinds: readonly Kind[];
  readonly #seed: number;
  readonly #log: DecisionLog;
  readonly #faults = new Map<Kind, { readonly fault: Fault; timesLeft: number }>();
  readonly #injected: Partial<Record<Kind, number>> = {};

  /** @param kinds every kind, in the order in which a call meets them. */
  constructor(kinds: readonly Kind[], { seed, log }: { seed: number; log: DecisionLog }) {
    this.#kinds = kinds;
    this.#seed = seed;
    this.#log = log;
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

  list(): readonly Kind[] {
    return this.#kinds.filter((kind) => this.#faults.has(kind));
  }

  /** How often each fault was injected. */
  injected(): Readonly<Partial<Record<Kind, number>>> {
    return { ...this.#injected };
  }

  /** Returns every fault to inject into a call. @param call the numbers that identify the call. */
  draw(call: readonly number[]): DrawnFault<Kind, Fault>[] {
    if (this.#faults.size === 0) return [];
    return this.#kinds.flatMap((_, index) => this.#decide(index, call) ?? []);
  }

  /** Returns the first fault to inject into a call among those that apply to it. */
  drawFirst(
    call: readonly number[],
    applies: (fault: Fault, kind: Kind) => boolean,
  ): DrawnFault<Kind, Fault> | undefined {
    if (this.#faults.size === 0) return undefined;
    for (let index = 0; index < this.#kinds.length; index += 1) {
      const drawn = this.#decide(index, call, applies);
      if (drawn !== undefined) return drawn;
    }
    return undefined;
  }

  /** Each kind draws from a sequence of its own, so that one fault does not change another's decisions. */
  #decide(
    index: number,
    call: readonly number[],
    applies?: (fault: Fault, kind: Kind) => boolean,
  ): DrawnFault<Kind, Fault> | undefined {
    const kind = this.#kinds[index];
    const entry = kind === undefined ? undefined : this.#faults.get(kind);
    if (kind === undefined || entry === undefined) return undefined;
    const { fault } = entry;
    if (applies?.(fault, kind) === false) return undefined;
    const random = seededRandom(derivedSeed(this.#seed, index, ...call));
    const isInjected = random() < fault.probability && entry.timesLeft > 0;
    this.#log.record(`${call.join(' ')} ${kind} ${isInjected ? 'injected' : 'spared'}`);
    if (!isInjected) return undefined;
    entry.timesLeft -= 1;
    this.#injected[kind] = (this.#injected[kind] ?? 0) + 1;
    return { kind, fault, random };
  }
}
