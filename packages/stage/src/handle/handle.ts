import type { FaultProxy } from '@holdfast/faults';
import type { ImpairOptions } from '../limits/impairment.ts';
import type { Endpoint } from '../system/endpoint.ts';
import type { ServerClock } from './server-clock.ts';

/** Whether a server runs, is suspended, or has ended. */
export type ServerState = 'running' | 'frozen' | 'stopped';

/** Options of `start`. */
export interface StartOptions {
  /** `ready` (default): it answers ordinary commands. `listening`: it answers, but may still load its data. */
  until?: 'listening' | 'ready';
  /** Aborts the start and kills the server. */
  signal?: AbortSignal;
}

/** Options of `fill`. */
export interface FillOptions {
  /** How much is left free for the server. Default 0. */
  leaveBytes?: number;
}

/** Options of `limit`. */
export interface LimitOptions {
  /** How much memory the server and its child processes may use, from 6 MiB. */
  memoryBytes: number;
  /** Whether it is started again when it ends by itself, as by a restart policy. Default true. */
  restart?: boolean;
}

/** A change to a server that can be undone. */
export interface StageFault {
  /** Undoes it; calling it again changes nothing. */
  undo(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The server's own endpoint, behind its link. */
export interface DirectAddress extends Endpoint {
  readonly url: string;
}

/**
 * A real server that can be broken. Verbs take effect one after the other, in the order of their calls. Each
 * rejects with StageStateError when the state of the server does not allow it, with StageClosedError after the
 * stage was closed, and with ServerTimeoutError when its effect is not seen in time: `start()` after
 * `readyTimeoutMs` (30 s), every other after `stopTimeoutMs` (5 s). A test runner whose own timeout is shorter, as
 * the 5 s of Jest, hides that error: `jest.setTimeout(STAGE_OPEN_TIMEOUT_MS)`, `testTimeout` in Vitest.
 */
export interface ServerHandle {
  readonly name: string;
  /** Where clients connect; host and port never change. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The server's own address, for comparison with the link; equal to the former with `link: false`. */
  readonly direct: DirectAddress;
  /**
   * The fault proxy at the server's address: latency, resets, silence and the like. It refuses connections
   * while the server is stopped.
   * @throws StageLinkError when the server has none.
   */
  readonly link: FaultProxy;
  /**
   * Its wall clock, on a stage with `serverClocks`; on any other its verbs reject with FaultUnsupportedError.
   */
  readonly clock: ServerClock;
  readonly state: ServerState;
  /** Kills it as a crash would (SIGKILL) and resolves when it has ended. From running or frozen. */
  kill(): Promise<void>;
  /** Terminates it (SIGTERM), and kills it after `stopTimeoutMs`. From running. */
  stop(): Promise<void>;
  /**
   * Starts it again with the same data at the same address; resolves when it answers. From stopped.
   * @throws ServerStartError when it ends instead.
   */
  start(options?: StartOptions): Promise<void>;
  /** Suspends it with its connections open; resolves when it is suspended. From running. */
  freeze(): Promise<void>;
  /** Resumes it; resolves when it runs. From frozen. */
  thaw(): Promise<void>;
  /**
   * Uses up its disk by a large file, or its memory by a limit just above its present use, until it is undone.
   * From running or frozen. Filling the disk requires a stage with `diskMaxBytes`.
   * @throws FaultUnsupportedError when this mode or machine does not support it.
   */
  fill(what: 'disk' | 'memory', options?: FillOptions): Promise<StageFault>;
  /**
   * Limits its memory, across restarts, until it is undone. The kernel kills a server that exceeds it.
   * @throws FaultUnsupportedError when this mode or machine does not support it.
   */
  limit(options: LimitOptions): Promise<StageFault>;
  /**
   * Removes its network as a container engine does: present connections are left or cut, and new ones are
   * refused, until it is undone. For silence instead, cut its link.
   * @throws FaultUnsupportedError when it shares the machine's network.
   */
  disconnect(): Promise<StageFault>;
  /**
   * Has the kernel delay, drop, duplicate, corrupt or reorder the packets that it sends (`tc netem`), across
   * restarts, until it is undone. The kernel's random choices have no seed. `checkImpairment()` reports
   * beforehand whether this machine supports it.
   * @throws FaultUnsupportedError when this mode or machine does not support it; nothing was changed.
   */
  impair(options: ImpairOptions): Promise<StageFault>;
  /**
   * Resolves when the server, limited by `limit()`, has ended by itself and was restarted; once for each
   * restart. Rejects as that start does.
   * @throws ServerTimeoutError after `readyTimeoutMs`.
   */
  waitForRestart(options?: { signal?: AbortSignal }): Promise<void>;
  /** What it has printed so far, across restarts: the newest `logMaxBytes`. */
  log(): Promise<string>;
}
