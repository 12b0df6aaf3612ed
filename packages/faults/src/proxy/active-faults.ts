import {
  type Clock,
  InvalidOptionError,
  type Random,
  type Timer,
  derivedSeed,
  seededRandom,
} from '@holdfast/foundation';
import type { DecisionLog } from '../decision-log.ts';
import type { Direction, Fault } from './fault.ts';
import { type ProxyFaultKind, faultKindNames, faultKinds } from './fault-kinds.ts';

/** A fault that was set. Setting it again creates another one. */
export interface ActiveFault {
  readonly kind: ProxyFaultKind;
  readonly fault: Fault;
  /** Decides whether the fault applies to a connection; called once for each. */
  appliesTo(connection: number): boolean;
  /** Counts a connection that feels the fault. */
  felt(): void;
  /** Returns the random sequence for the bytes of one direction of a connection. */
  randomFor(connection: number, direction: Direction): Random;
}

/** The collaborators of {@link ActiveFaults}. */
interface ActiveFaultsDeps {
  readonly seed: number;
  readonly clock: Clock;
  readonly log: DecisionLog;
  /** Called after a fault was set, cleared, or switched by its schedule. */
  readonly onChange: () => void;
}

interface Entry {
  readonly fault: ActiveFault;
  isActive: boolean;
  timer: Timer | undefined;
}

/** Holds the faults that are set, follows their schedules, and decides which connections they apply to. */
export class ActiveFaults {
  readonly #deps: ActiveFaultsDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #injected: Record<ProxyFaultKind, number> = {
    corrupt: 0,
    limitData: 0,
    slice: 0,
    latency: 0,
    bandwidth: 0,
    slowClose: 0,
    blackhole: 0,
    timeout: 0,
    silence: 0,
    halfOpen: 0,
    reset: 0,
    down: 0,
  };
  /** Counted for each kind, so that the decisions of one fault do not depend on the others. */
  readonly #timesSet = new Map<ProxyFaultKind, number>();

  constructor(deps: ActiveFaultsDeps) {
    this.#deps = deps;
  }

  /** @param name replaces the fault of the same name, and clears it. @throws InvalidOptionError */
  set(kind: ProxyFaultKind, options: unknown, name: string): void {
    if (!Object.hasOwn(faultKinds, kind)) {
      const permitted = `one of ${faultKindNames.join(', ')}`;
      throw new InvalidOptionError('faults.set', 'kind', kind, permitted);
    }
    const fault = faultKinds[kind](options);
    this.#remove(name);
    const afterMs = fault.schedule?.afterMs ?? 0;
    const entry: Entry = {
      fault: this.#activeFault(kind, fault),
      isActive: afterMs === 0,
      timer: undefined,
    };
    this.#entries.set(name, entry);
    this.#follow(entry, this.#deps.clock.now() + afterMs);
    this.#deps.onChange();
  }

  clear(name: string): void {
    if (this.#remove(name)) this.#deps.onChange();
  }

  clearAll(): void {
    for (const name of this.#entries.keys()) this.#remove(name);
    this.#deps.onChange();
  }

  /** Returns the kinds that are set, active or waiting for their schedule. */
  list(): readonly ProxyFaultKind[] {
    const kinds = new Set([...this.#entries.values()].map(({ fault }) => fault.kind));
    return faultKindNames.filter((kind) => kinds.has(kind));
  }

  /** Returns the active faults in the order in which bytes meet them; those of one kind as they were set. */
  active(): readonly ActiveFault[] {
    return [...this.#entries.values()]
      .filter(({ isActive }) => isActive)
      .map(({ fault }) => fault)
      .toSorted((one, other) => orderOf(one.kind) - orderOf(other.kind));
  }

  /** How many connections felt each fault. */
  injected(): Readonly<Record<ProxyFaultKind, number>> {
    return { ...this.#injected };
  }

  #activeFault(kind: ProxyFaultKind, fault: Fault): ActiveFault {
    const { seed, log } = this.#deps;
    const number = (this.#timesSet.get(kind) ?? 0) + 1;
    this.#timesSet.set(kind, number);
    const randomOf = (connection: number, purpose: number): Random =>
      seededRandom(derivedSeed(seed, orderOf(kind), number, connection, purpose));
    return {
      kind,
      fault,
      appliesTo: (connection) => {
        const isInjected = randomOf(connection, 0)() < fault.probability;
        log.record(`${kind} ${number} ${connection} ${isInjected ? 'injected' : 'spared'}`);
        return isInjected;
      },
      felt: () => void (this.#injected[kind] += 1),
      randomFor: (connection, direction) => randomOf(connection, direction === 'toServer' ? 1 : 2),
    };
  }

  /** Arms the next change of a schedule. @param beginMs when its current round began, or is to begin. */
  #follow(entry: Entry, beginMs: number): void {
    const { clock, onChange } = this.#deps;
    const { forMs, everyMs } = entry.fault.fault.schedule ?? {};
    const changeAt = (atMs: number, isActive: boolean, nextBeginMs: number | undefined): void => {
      entry.timer = clock.schedule(atMs - clock.now(), () => {
        entry.isActive = isActive;
        if (nextBeginMs !== undefined) this.#follow(entry, nextBeginMs);
        onChange();
      });
    };
    if (!entry.isActive) changeAt(beginMs, true, beginMs);
    else if (forMs !== undefined)
      changeAt(beginMs + forMs, false, everyMs === undefined ? undefined : beginMs + everyMs);
  }

  #remove(name: string): boolean {
    this.#entries.get(name)?.timer?.cancel();
    return this.#entries.delete(name);
  }
}

function orderOf(kind: ProxyFaultKind): number {
  return faultKindNames.indexOf(kind);
}
