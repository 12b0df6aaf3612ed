import type { Clock } from '@holdfast/foundation';
import { type Fetch, faultyFetch } from './faulty-fetch.ts';
import type { InjectedFault } from './injected-faults.ts';
import type { LateAnswers } from './late-answers.ts';

interface FetchDeps {
  readonly draw: (key: string | undefined) => readonly InjectedFault[];
  readonly clock: Clock;
  readonly late: LateAnswers;
  readonly key: ((...args: Parameters<Fetch>) => string) | undefined;
}

/** Returns a `fetch` with faults, drawn by the key of a request where there is one. */
export function fetchWithFaults(base: Fetch, { draw, clock, late, key }: FetchDeps): Fetch {
  return async (...args) => {
    let faults: readonly InjectedFault[] = [];
    const drawAll = (): readonly InjectedFault[] => (faults = draw(key?.(...args)));
    try {
      return await faultyFetch(base, { draw: drawAll, clock, late })(...args);
    } finally {
      for (const fault of faults) fault.unfelt();
    }
  };
}
