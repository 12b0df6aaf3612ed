import { derivedSeed, seededRandom } from '@holdfast/foundation';
import type { DecisionLog } from '../decision-log.ts';
import type { Struck } from './faulty-exchange.ts';
import { type HttpFaultKind, type ResolvedHttpFault, httpFaultKinds } from './http-faults.ts';

/** Which faults of HTTP are set, and which requests they strike. */
export interface HttpStrikes {
  set(kind: HttpFaultKind, fault: ResolvedHttpFault): void;
  clear(kind: HttpFaultKind): void;
  clearAll(): void;
  list(): readonly HttpFaultKind[];
  /** Draws for the next request, kind by kind, each from a sequence of its own. */
  draw(): Struck;
  requestsTotal(): number;
  struck(): Readonly<Partial<Record<HttpFaultKind, number>>>;
}

export function createHttpStrikes(seed: number, log: DecisionLog): HttpStrikes {
  const faults = new Map<HttpFaultKind, { fault: ResolvedHttpFault; strikesLeft: number }>();
  const counts: Partial<Record<HttpFaultKind, number>> = {};
  let requestsTotal = 0;
  return {
    set: (kind, fault) => void faults.set(kind, { fault, strikesLeft: fault.times }),
    clear: (kind) => void faults.delete(kind),
    clearAll: () => faults.clear(),
    list: () => httpFaultKinds.filter((kind) => faults.has(kind)),
    draw() {
      requestsTotal += 1;
      const struck = new Map<HttpFaultKind, ResolvedHttpFault>();
      for (const [index, kind] of httpFaultKinds.entries()) {
        const set = faults.get(kind);
        if (set === undefined) continue;
        const random = seededRandom(derivedSeed(seed, index, requestsTotal));
        const isStruck = random() < set.fault.probability && set.strikesLeft > 0;
        log.record(`${requestsTotal} ${kind} ${isStruck ? 'struck' : 'spared'}`);
        if (!isStruck) continue;
        set.strikesLeft -= 1;
        counts[kind] = (counts[kind] ?? 0) + 1;
        struck.set(kind, set.fault);
      }
      return struck;
    },
    requestsTotal: () => requestsTotal,
    struck: () => ({ ...counts }),
  };
}
