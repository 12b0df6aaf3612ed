import type { FaultInjector } from '../fault-injector.ts';
import { KeyedCallCounter } from './keyed-call-counter.ts';
import type { Injection } from './injected-error.ts';
import type { InjectedFault, InjectedFaultKind, ResolvedInjectedFault } from './injected-faults.ts';

/** How many keys are remembered at most; the calls of one that was forgotten count from 1 again. */
const MAX_KEYS = 100_000;

interface DrawDeps {
  readonly injector: FaultInjector<InjectedFaultKind, ResolvedInjectedFault>;
  readonly seed: number;
  /** Called when a fault was felt. */
  readonly onInjected: (injection: Injection) => void;
}

/** Draws the faults of a call: by its number, or by its key and the number of calls with that key. */
export function createDraw({
  injector,
  seed,
  onInjected,
}: DrawDeps): (callNumber: number, key: string | undefined) => InjectedFault[] {
  const keyedCalls = new KeyedCallCounter(MAX_KEYS);
  return (callNumber, key) => {
    const keyed = key === undefined ? undefined : { key, keyedCall: keyedCalls.next(key) };
    const call = keyed === undefined ? [callNumber] : [keyed.key, keyed.keyedCall];
    const faults = injector.draw(call).map((drawn) => {
      const injection = { kind: drawn.kind, seed, callNumber, ...keyed };
      let isFelt = false;
      return Object.assign({}, drawn, {
        injection,
        felt(): void {
          if (isFelt) return;
          isFelt = true;
          drawn.felt();
          onInjected(injection);
        },
      });
    });
    // Whatever the answer is, it is late.
    for (const fault of faults) if (fault.kind === 'network_delay') fault.felt();
    return faults;
  };
}
