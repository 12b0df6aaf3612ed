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
      `fault proxy: cannot listen on ${host}:${port}; see the cause. Free the address, then open or heal the proxy again`,
      { cause, retryable: true, outcome: 'not-applied' },
    );
  }
}

/** The service was not in its steady state; no fault was injected. */
export class SteadyStateError extends HoldfastError {
  readonly code = 'FAULTS_NO_STEADY_STATE';
  readonly baseline: PhaseStats;

  constructor(name: string, baseline: PhaseStats) {
    super(
      `experiment ${name}: ${baseline.bad} of ${baseline.probes} probes were bad before the fault; start the service first`,
      { outcome: 'not-applied' },
    );
    this.baseline = baseline;
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
    replay = `storm(${seed})`,
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
