import type { PreparedClock } from '@holdfast/faults';
import { FaultUnsupportedError } from '../errors.ts';

/** The wall clock of one server and of all it starts; the machine's own does not move. */
export interface ServerClock {
  /** How far it is ahead of the machine's, in milliseconds; negative behind it. */
  readonly offsetMs: number;
  /**
   * Moves it, forward or back, for the server that runs and for its next starts; what it sleeps or measures
   * by a monotonic clock stays true.
   * @throws InvalidOptionError; FaultUnsupportedError when the server turns out not to read it.
   */
  step(byMs: number): Promise<void>;
  /** Back to the machine's time. */
  heal(): Promise<void>;
}

/** How a mode moves the clock of one server. */
export interface ClockControl {
  readonly clock: PreparedClock;
  /** Whether the process that runs as the server reads it; true while none runs. */
  readonly isRead: () => Promise<boolean>;
}

/** @param inTurn puts a change among the verbs of its server. */
export function createServerClock(
  name: string,
  { clock, isRead }: ClockControl,
  inTurn: (work: () => Promise<void>) => Promise<void>,
): ServerClock {
  return {
    get offsetMs() {
      return clock.offsetMs;
    },
    step: (byMs) =>
      inTurn(async () => {
        if (await isRead()) return clock.step(byMs);
        const reason = 'its process has not preloaded the library that moves it';
        throw new FaultUnsupportedError(
          name,
          'move its clock',
          reason,
          'Run it by a dynamically linked program',
        );
      }),
    heal: () => inTurn(() => clock.heal()),
  };
}

/** What stands for the clock of a server that reads the machine's. */
export function createFixedClock(name: string): ServerClock {
  const refuse = async (): Promise<void> => {
    const reason = `it reads the machine's, as the stage was opened without 'serverClocks'`;
    const remedy = `Open the stage with 'serverClocks: true'`;
    throw new FaultUnsupportedError(name, 'move its clock', reason, remedy);
  };
  return { offsetMs: 0, step: refuse, heal: refuse };
}
