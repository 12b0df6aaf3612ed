import type { DrawnFault } from '../fault-injector.ts';
import type { InjectedHttpFaults } from './changed-response.ts';
import type { HttpFaultKind, ResolvedHttpFault } from './http-faults.ts';

type Drawn = DrawnFault<HttpFaultKind, ResolvedHttpFault>;

/** The faults of the requests of one connection that have no response yet. */
export class DrawnHttpFaults {
  readonly #waiting = new Map<InjectedHttpFaults, readonly Drawn[]>();

  add(drawn: readonly Drawn[]): InjectedHttpFaults {
    const faults: InjectedHttpFaults = new Map(drawn.map(({ kind, fault }) => [kind, fault]));
    // A delay is felt whatever the response is.
    for (const each of drawn) if (each.kind === 'delay') each.felt();
    if (drawn.length > 0) this.#waiting.set(faults, drawn);
    return faults;
  }

  /** The response with these faults begins. */
  readonly felt = (faults: InjectedHttpFaults): void => {
    for (const each of this.#waiting.get(faults) ?? []) each.felt();
    this.#waiting.delete(faults);
  };

  /** No response follows. */
  unfelt(): void {
    for (const drawn of this.#waiting.values()) for (const each of drawn) each.unfelt();
    this.#waiting.clear();
  }
}
