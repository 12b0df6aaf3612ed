import { HoldfastError } from '@holdfast/foundation';

/** The resolver, dialer, balancer or client is closed. */
export class NetworkClosedError extends HoldfastError {
  readonly code = 'NETWORK_CLOSED';

  /** @param owner what is closed, such as `the resolver`. */
  constructor(owner: string) {
    super(`${owner} is closed; make a new one`, { outcome: 'not-applied' });
  }
}
