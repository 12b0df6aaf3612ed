/**
 * What a process says of itself, and what it promises about that:
 *
 * - Probes read what is known; none of them starts a check, so that any number of them costs the same.
 * - A check runs in the background, one call at a time, with a deadline; one that hangs is a failure, not a wait.
 * - Only a critical component makes the process unready; the others degrade it.
 * - What fails for most of the fleet makes no instance unready: it would take all of them down, and cure nothing.
 * - No probe tells the text of an error unless `details` is `'full'`.
 */
import type { EventKinds, Subscribe } from '@holdfast/foundation';

/** What a component is, for the parts of `checkServices` and the others. */
export type ComponentGroup = 'services' | 'databases' | 'caches' | 'queues' | 'external';

/** As in the draft of health+json: `pass` works, `warn` works in part, `fail` does not. */
export type HealthStatus = 'pass' | 'warn' | 'fail';

/** How a component is doing. */
export interface ComponentState {
  readonly status: HealthStatus;
  /** What a person should know; shown in probes only with `details: 'full'`. */
  readonly reason?: string;
}

/** Looks at a component: returns its state, or nothing if it works, or throws. The signal aborts at the deadline. */
export type HealthCheck = (
  signal: AbortSignal,
) => ComponentState | undefined | void | PromiseLike<ComponentState | undefined | void>;

/** One thing that the process stands on. */
export interface HealthComponent {
  readonly group: ComponentGroup;
  readonly check: HealthCheck;
  /** Whether the process cannot serve without it. Default true. */
  readonly critical?: boolean;
  /** How long one check may take, in milliseconds. Default: `timeoutMs` of the options. */
  readonly timeoutMs?: number;
  /** How often it is checked, in milliseconds. Default: `intervalMs` of the options. */
  readonly intervalMs?: number;
}

/** The last result of a component. */
export interface ComponentReport {
  readonly name: string;
  readonly group: ComponentGroup;
  readonly critical: boolean;
  /** `fail` after `failuresBeforeDown` failures in a row; before the first result also. */
  readonly status: HealthStatus;
  readonly reason?: string;
  /** When it was checked last, in milliseconds since the Unix epoch; absent before. */
  readonly checkedAtEpochMs?: number;
  readonly durationMs?: number;
  /** Whether most of the fleet sees the same failure, which therefore does not make this instance unready. */
  readonly isFleetWide: boolean;
}

/** One group of components, or all of them. */
export interface HealthReport {
  /** `fail`: a critical component fails. `warn`: another does, or one works in part. */
  readonly status: HealthStatus;
  readonly components: readonly ComponentReport[];
}

/** What the other instances say, over whatever connects them. Both may throw: then nothing is known of the fleet. */
export interface HealthFleet {
  /** The share of the fleet for which the check fails, from 0 to 1; undefined if it is not known. */
  failingShare(component: string): number | undefined;
  /** Tells the fleet how a component is doing here. */
  publish(component: string, status: HealthStatus): void;
}

/** The phase of the process. */
export type HealthPhase = 'starting' | 'serving' | 'draining';

/** The events of health, by name. */
export interface HealthEvents {
  /** A component changed its status. */
  'component-changed': {
    readonly name: string;
    readonly from: HealthStatus;
    readonly to: HealthStatus;
    readonly reason?: string;
  };
  /** Readiness changed. */
  'readiness-changed': { readonly isReady: boolean };
  /** The main thread did not turn for so long; with where it was, as far as the thread of the server could see. */
  stalled: { readonly stalledMs: number; readonly stack: readonly string[] };
  /** The thread of the server ended, and is started anew. */
  'server-failed': { readonly error: unknown };
}

export const healthEventKinds: EventKinds<HealthEvents> = {
  'component-changed': true,
  'readiness-changed': true,
  stalled: true,
  'server-failed': true,
};

/** Numbers of health since it was made. */
export interface HealthStats {
  readonly isReady: boolean;
  readonly phase: HealthPhase;
  readonly components: Readonly<Record<string, HealthStatus>>;
  readonly checks: number;
  readonly failures: number;
  /** Checks that were given up at their deadline. */
  readonly timeouts: number;
  /** Calls of checks that were given up and have not ended. */
  readonly hanging: number;
}

/** The probes of a process, by what they ask. */
export type ProbeName = 'live' | 'ready' | 'startup' | 'health';

/** The answer of a probe, for whatever server it is given by. */
export interface ProbeAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a process says of itself. */
export interface Health {
  readonly on: Subscribe<HealthEvents>;
  readonly isReady: boolean;
  /** What is known now; asks nothing. */
  report(): HealthReport;
  /** The answer of a probe from what is known now. */
  answer(probe: ProbeName): ProbeAnswer;
  /** Checks what has not been checked within its interval, and reports all of it. Never rejects. */
  comprehensiveHealthCheck(): Promise<HealthReport>;
  /** The same for one group. */
  checkServices(): Promise<HealthReport>;
  checkDatabases(): Promise<HealthReport>;
  checkCaches(): Promise<HealthReport>;
  checkQueues(): Promise<HealthReport>;
  checkExternalDependencies(): Promise<HealthReport>;
  /** The process has started: with `startsItself: false`, it is not ready before. */
  markStarted(): void;
  /** Readiness is off from now on: the first step of a shutdown. */
  beginDrain(): void;
  /** For a server of probes on another thread: what it saw of a stall of this one, once that is over. */
  noteStall(stalledMs: number, stack: readonly string[]): void;
  /** For the same: its thread has ended by itself, and is started anew. */
  noteServerFailure(error: unknown): void;
  getStats(): HealthStats;
  /** Ends the checks; probes then fail. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}
