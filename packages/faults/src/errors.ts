import { HoldfastError } from '@holdfast/foundation';
import type { PhaseStats } from './experiment/samples.ts';
import type { Schedule, TimedFault } from './storm/schedule.ts';

/** The target is not this machine; nothing was started. */
export class RemoteTargetError extends HoldfastError {
  readonly code = 'FAULTS_REMOTE_TARGET';
  /** The host that was named. */
  readonly host: string;

  constructor(host: string) {
    super(
      `createFaultProxy: ${host} is not this machine, and a fault there can affect others. Set allowRemote: true to allow it`,
      { outcome: 'not-applied' },
    );
    this.host = host;
  }
}

/** The proxy could not listen on its address, at the start or after it was down. */
export class ProxyListenError extends HoldfastError {
  readonly code = 'FAULTS_PROXY_LISTEN_FAILED';

  constructor(host: string, port: number, cause: unknown) {
    super(
      `fault proxy: cannot listen on ${host}:${port}; see the cause. Free the address, or choose another one; a proxy that was open before tries again by itself`,
      { cause, retryable: true, outcome: 'not-applied' },
    );
  }
}

/** An endpoint was not in its steady state; no fault was injected. */
export class SteadyStateError extends HoldfastError {
  readonly code = 'FAULTS_NO_STEADY_STATE';
  readonly baseline: PhaseStats;
  /** The endpoints that were not in their steady state, and how many of their probes were bad. */
  readonly endpoints: Readonly<Record<string, { readonly probes: number; readonly bad: number }>>;

  constructor(name: string, baseline: PhaseStats, endpoints: SteadyStateError['endpoints']) {
    const each = Object.entries(endpoints).map(
      ([endpoint, { probes, bad }]) => `${bad} of ${probes} probes of ${endpoint}`,
    );
    super(
      `experiment ${name}: ${each.join(', ')} were bad before the fault; start the service first, or state its usual share of bad probes as maxBadShare`,
      { outcome: 'not-applied' },
    );
    this.baseline = baseline;
    this.endpoints = endpoints;
  }
}

/** What undoes a fault failed or did not end in time; the fault may still be there. */
export class FaultNotUndoneError extends HoldfastError {
  readonly code = 'FAULTS_NOT_UNDONE';

  constructor(name: string, reason: string, cause: unknown) {
    super(`experiment ${name}: the fault was not undone: ${reason}; undo it by hand`, {
      cause,
      outcome: 'unknown',
    });
  }
}

/** The process was about to end during the fault. Without a cause the fault was undone first. */
export class ExperimentInterruptedError extends HoldfastError {
  readonly code = 'FAULTS_EXPERIMENT_INTERRUPTED';

  /** @param cause why the fault was not undone, if it was not. */
  constructor(name: string, reason: string, cause?: unknown) {
    const end =
      cause === undefined
        ? 'after the fault was undone; run it again'
        : 'and the fault was not undone (see the cause); undo it by hand, then run it again';
    super(`experiment ${name}: ended by ${reason}, ${end}`, { cause, outcome: 'unknown' });
  }
}

/** A run failed in its storm; the cause is its error. */
export class StormFailedError extends HoldfastError {
  readonly code = 'FAULTS_STORM_FAILED';
  readonly seed: number;
  /** The smallest schedule found that also fails. */
  readonly shrunk: Schedule<TimedFault>;

  constructor(
    seed: number,
    runs: number,
    shrunk: Schedule<TimedFault>,
    cause: unknown,
    replay: string,
  ) {
    super(
      `storm ${seed}: the run failed, see the cause; after ${runs} more runs the smallest schedule that fails is ${JSON.stringify(shrunk)}. Replay it with ${replay}`,
      { cause },
    );
    this.seed = seed;
    this.shrunk = shrunk;
  }
}

/** The proxy is closed; no fault was set. */
export class ProxyClosedError extends HoldfastError {
  readonly code = 'FAULTS_PROXY_CLOSED';

  constructor() {
    super('fault proxy: it is closed, so no fault was set; open a new one', {
      outcome: 'not-applied',
    });
  }
}
