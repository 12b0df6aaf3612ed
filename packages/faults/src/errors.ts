import { HoldfastError } from '@holdfast/resilience';

/** The target is not on this machine; nothing was started. */
export class RemoteTargetError extends HoldfastError {
  readonly code = 'REMOTE_TARGET';
  /** The host that was named. */
  readonly host: string;

  constructor(host: string) {
    super(
      `createFaultProxy: ${host} is not this machine; a fault there can hurt others. Set allowRemote: true if it is meant`,
      { outcome: 'not-applied' },
    );
    this.host = host;
  }
}

/** The proxy could not take its address, at first or after it was down. */
export class ProxyListenError extends HoldfastError {
  readonly code = 'PROXY_LISTEN_FAILED';

  constructor(host: string, port: number, cause: unknown) {
    super(
      `fault proxy: cannot listen on ${host}:${port}; see the cause. Free the address, then open or heal the proxy again`,
      { cause, retryable: true, outcome: 'not-applied' },
    );
  }
}

/** The proxy was closed before; no fault was set. */
export class ProxyClosedError extends HoldfastError {
  readonly code = 'PROXY_CLOSED';

  constructor() {
    super('fault proxy: it was closed, so no fault was set; open a new one', {
      outcome: 'not-applied',
    });
  }
}
