import type { PreparedClock } from '@holdfast/faults';
import { FaultUnsupportedError } from '../errors.ts';

/** The wall clock of one server and its child processes; the machine's own clock does not change. */
export interface ServerClock {
  /** How far it is ahead of the machine's, in milliseconds; negative when it is behind. */
  readonly offsetMs: number;
  /**
   * Steps it forward or back, for the running server and its next starts. Sleeps and monotonic clocks are not
   * affected.
   * @throws InvalidOptionError; FaultUnsupportedError when the server does not read this clock.
   */
  step(byMs: number): Promise<void>;
  /** Sets it to the machine's time. */
  heal(): Promise<void>;
}

/** How a mode changes the clock of one server. */
export interface ClockControl {
  readonly clock: PreparedClock;
  /** Whether the server's process reads this clock; true while none runs. */
  readonly isRead: () => Promise<boolean>;
}

/** @param inTurn runs a change after the earlier verbs of the server. */
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
        const remedy = 'Run it by a dynamically linked program';
        throw new FaultUnsupportedError(name, 'move its clock', reason, remedy);
      }),
    heal: () => inTurn(() => clock.heal()),
  };
}

/** The clock of a server that reads the machine's: it cannot be changed. */
export function createFixedClock(name: string): ServerClock {
  const refuse = async (): Promise<void> => {
    const reason = `it reads the machine's, as the stage was opened without 'serverClocks'`;
    const remedy = `Open the stage with 'serverClocks: true'`;
    throw new FaultUnsupportedError(name, 'move its clock', reason, remedy);
  };
  return { offsetMs: 0, step: refuse, heal: refuse };
}
