import { derivedSeed, seededRandom } from '@holdfast/foundation';
import type { DecisionLog } from './decision-log.ts';

/** What every fault that strikes single calls has. */
export interface CountedFault {
  /** Share of what it meets that it strikes, 0 to 1. */
  readonly probability: number;
  /** It strikes so often, then no more. */
  readonly times: number;
}

/** Which faults are set, and whom they strike. */
export interface FaultInjector<Kind extends string, Fault extends CountedFault> {
  set(kind: Kind, fault: Fault): void;
  clear(kind: Kind): void;
  clearAll(): void;
  list(): readonly Kind[];
  /**
   * Draws for one call of one connection, kind by kind, each from a sequence of its own; the first fault
   * that strikes is the answer.
   */
  draw(
    connection: number,
    call: number,
    meets: (fault: Fault, kind: Kind) => boolean,
  ): { readonly kind: Kind; readonly fault: Fault } | undefined;
  injected(): Readonly<Partial<Record<Kind, number>>>;
}

/** @param kinds every kind there is, in the order in which a call meets them. */
export function createFaultInjector<Kind extends string, Fault extends CountedFault>(
  kinds: readonly Kind[],
  { seed, log }: { seed: number; log: DecisionLog },
): FaultInjector<Kind, Fault> {
  const faults = new Map<Kind, { readonly fault: Fault; strikesLeft: number }>();
  const struck: Partial<Record<Kind, number>> = {};
  return {
    set: (kind, fault) => void faults.set(kind, { fault, strikesLeft: fault.times }),
    clear: (kind) => void faults.delete(kind),
    clearAll: () => faults.clear(),
    list: () => kinds.filter((kind) => faults.has(kind)),
    draw(connection, call, meets) {
      if (faults.size === 0) return undefined;
      for (const [index, kind] of kinds.entries()) {
        const set = faults.get(kind);
        if (set === undefined || !meets(set.fault, kind)) continue;
        const random = seededRandom(derivedSeed(seed, index, connection, call));
        const isStruck = random() < set.fault.probability && set.strikesLeft > 0;
        log.record(`${connection} ${call} ${kind} ${isStruck ? 'struck' : 'spared'}`);
        if (!isStruck) continue;
        set.strikesLeft -= 1;
        struck[kind] = (struck[kind] ?? 0) + 1;
        return { kind, fault: set.fault };
      }
      return undefined;
    },
    injected: () => ({ ...struck }),
  };
}
