import type { LimitControls } from '../limits/server-limits.ts';
import type { ClockControl } from './server-clock.ts';

/** `listening`: the server answers, but not yet to ordinary commands (-LOADING). */
export type Readiness = 'listening' | 'ready';

/** One run of a server, from launch to end. */
export interface ServerInstance {
  /** Resolves when it has ended, with a description of its end; never rejects. */
  readonly ended: Promise<string>;
  /** Asks it to shut down, without waiting for its end. */
  terminate(signal: AbortSignal): Promise<void>;
  /** Kills it, without waiting for its end. */
  kill(signal: AbortSignal): Promise<void>;
  /** Resolves when it is suspended. */
  freeze(signal: AbortSignal): Promise<void>;
  /** Resolves when it runs again. */
  thaw(signal: AbortSignal): Promise<void>;
}

/** What a mode implements for one server. A control is absent where the mode or the machine has none. */
export interface ServerDriver extends LimitControls {
  /** Starts it at its endpoint with its data, without waiting for its first answer. */
  launch(signal: AbortSignal): Promise<ServerInstance>;
  /** One protocol exchange; rejects when the server does not answer. */
  probe(signal: AbortSignal): Promise<Readiness>;
  log(signal: AbortSignal): Promise<string>;
  /** Absent when it reads the machine's clock. */
  readonly clock?: ClockControl | undefined;
  /** For a server that ran before the stage: leaves it running instead of ending it. */
  detach?(signal: AbortSignal): Promise<void>;
  /** Removes its folders, containers and reservations after it has ended. */
  cleanUp(signal: AbortSignal): Promise<void>;
}
