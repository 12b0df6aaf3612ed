import {
  type Clock,
  derivedSeed,
  InvalidOptionError,
  type Random,
  seededRandom,
  type Timer,
} from '@holdfast/foundation';
import type { DecisionLog } from '../decision-log.ts';
import type { Direction, Fault } from './fault.ts';
import { type ProxyFaultKind, faultKindNames, faultKinds } from './fault-kinds.ts';

/** A fault as it was set: setting it again makes another one. */
export interface ActiveFault {
  readonly kind: ProxyFaultKind;
  readonly fault: Fault;
  /** Decides whether a connection is struck; to be asked once for each. */
  appliesTo(connection: number): boolean;
  /** The chance that the bytes of one direction of a connection are treated with. */
  randomFor(connection: number, direction: Direction): Random;
}

export interface ActiveFaults {
  /** @param name what it is cleared by, and replaced under. @throws InvalidOptionError */
  set(kind: ProxyFaultKind, options: unknown, name: string): void;
  clear(name: string): void;
  clearAll(): void;
  /** The faults that are set, in force or waiting for their schedule. */
  list(): readonly ProxyFaultKind[];
  /** The faults in force, in the order in which bytes meet them. */
  active(): readonly ActiveFault[];
  /** How many connections each fault has struck. */
  injected(): Readonly<Record<ProxyFaultKind, number>>;
}

interface Entry {
  readonly setting: ActiveFault;
  isInForce: boolean;
  timer: Timer | undefined;
}

/** Holds which faults are set, keeps their schedules, and draws whom they strike. */
export function createActiveFaults(board: {
  seed: number;
  clock: Clock;
  log: DecisionLog;
  readonly onChange: () => void;
}): ActiveFaults {
  const { seed, clock, log, onChange } = board;
  const entries = new Map<string, Entry>();
  const struck: Record<ProxyFaultKind, number> = {
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
  /** Each kind is counted alone, so that one fault's draws do not depend on the others. */
  const timesSet = new Map<ProxyFaultKind, number>();

  const settingOf = (kind: ProxyFaultKind, fault: Fault): ActiveFault => {
    const number = (timesSet.get(kind) ?? 0) + 1;
    timesSet.set(kind, number);
    const drawn = (connection: number, purpose: number): Random =>
      seededRandom(derivedSeed(seed, faultKindNames.indexOf(kind), number, connection, purpose));
    return {
      kind,
      fault,
      appliesTo(connection) {
        const isStruck = drawn(connection, 0)() < fault.probability;
        if (isStruck) struck[kind] += 1;
        log.record(`${kind} ${number} ${connection} ${isStruck ? 'struck' : 'spared'}`);
        return isStruck;
      },
      randomFor: (connection, direction) => drawn(connection, direction === 'toServer' ? 1 : 2),
    };
  };

  /** Arms the next turn of a schedule; `beganMs` is when its present round began, or is to begin. */
  const follow = (entry: Entry, beganMs: number): void => {
    const { forMs, everyMs } = entry.setting.fault.schedule ?? {};
    const at = (momentMs: number, turn: () => void): void => {
      entry.timer = clock.schedule(momentMs - clock.now(), turn);
    };
    if (!entry.isInForce) {
      at(beganMs, () => {
        entry.isInForce = true;
        follow(entry, beganMs);
        onChange();
      });
    } else if (forMs !== undefined) {
      at(beganMs + forMs, () => {
        entry.isInForce = false;
        if (everyMs !== undefined) follow(entry, beganMs + everyMs);
        onChange();
      });
    }
  };

  const remove = (name: string): boolean => {
    entries.get(name)?.timer?.cancel();
    return entries.delete(name);
  };

  /** As bytes meet them; those of the same kind as they were set. */
  const inOrder = (): Entry[] =>
    [...entries.values()].toSorted(
      (one, other) =>
        faultKindNames.indexOf(one.setting.kind) - faultKindNames.indexOf(other.setting.kind),
    );

  return {
    set(kind, options, name) {
      const read = Object.hasOwn(faultKinds, kind) ? faultKinds[kind] : undefined;
      if (read === undefined) {
        const permitted = `one of ${faultKindNames.join(', ')}`;
        throw new InvalidOptionError('faults.set', 'kind', kind, permitted);
      }
      const fault = read(options);
      remove(name);
      const afterMs = fault.schedule?.afterMs ?? 0;
      const setting = settingOf(kind, fault);
      const entry: Entry = { setting, isInForce: afterMs === 0, timer: undefined };
      entries.set(name, entry);
      follow(entry, clock.now() + afterMs);
      onChange();
    },
    clear(name) {
      if (remove(name)) onChange();
    },
    clearAll() {
      for (const name of entries.keys()) remove(name);
      onChange();
    },
    list: () =>
      faultKindNames.filter((kind) => inOrder().some((entry) => entry.setting.kind === kind)),
    active: () =>
      inOrder()
        .filter((entry) => entry.isInForce)
        .map((entry) => entry.setting),
    injected: () => ({ ...struck }),
  };
}
