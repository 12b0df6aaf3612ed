import { HoldfastError, type HoldfastErrorDetails } from '@holdfast/foundation';

/** A name has no answer. */
export abstract class NameError extends HoldfastError {
  readonly hostname: string;
  abstract readonly kind: NameErrorKind;

  constructor(hostname: string, message: string, details: HoldfastErrorDetails = {}) {
    super(message, { outcome: 'not-applied', ...details });
    this.hostname = hostname;
  }
}

/**
 * `not-found` and `no-address` are the answer of the zone. All others are failures of the way to it, and are never
 * kept as an answer.
 */
export type NameErrorKind =
  | 'not-found'
  | 'no-address'
  | 'servers'
  | 'timeout'
  | 'resources'
  | 'queue-full';

/** The name does not exist (NXDOMAIN). */
export class NameNotFoundError extends NameError {
  readonly code = 'NETWORK_NAME_NOT_FOUND';
  readonly kind = 'not-found';

  constructor(hostname: string) {
    super(hostname, `${hostname} does not exist, its name servers say; check the name`);
  }
}

/** The name exists, but has no address of the family asked for; or it is an alias that leads nowhere. */
export class NameHasNoAddressError extends NameError {
  readonly code = 'NETWORK_NAME_NO_ADDRESS';
  readonly kind = 'no-address';

  constructor(hostname: string, family: 0 | 4 | 6) {
    const wanted = family === 0 ? 'address' : `IPv${family} address`;
    super(hostname, `${hostname} has no ${wanted}; check its records, and where its alias leads`);
  }
}

/** Every name server failed or refused. */
export class NameServersFailedError extends NameError {
  readonly code = 'NETWORK_NAME_SERVERS';
  readonly kind = 'servers';
  /** What each server said, such as `127.0.0.1:53: SERVFAIL`. */
  readonly answers: readonly string[];

  constructor(hostname: string, answers: readonly string[], cause?: unknown) {
    const said = answers.length === 0 ? 'none is known' : answers.join(', ');
    super(hostname, `no name server answers for ${hostname} (${said}); check the name servers`, {
      cause,
      retryable: true,
    });
    this.answers = answers;
  }
}

/** No answer came within the call's deadline. */
export class NameTimeoutError extends NameError {
  readonly code = 'NETWORK_NAME_TIMEOUT';
  readonly kind = 'timeout';
  readonly timeoutMs: number;

  constructor(hostname: string, timeoutMs: number) {
    super(hostname, `no answer for ${hostname} within ${timeoutMs} ms; check the name servers`, {
      retryable: true,
    });
    this.timeoutMs = timeoutMs;
  }
}

/** The process has no descriptor or memory left for a query: nothing is known about the name. */
export class NameResourcesError extends NameError {
  readonly code = 'NETWORK_NAME_RESOURCES';
  readonly kind = 'resources';

  constructor(hostname: string, cause: unknown) {
    super(hostname, `no descriptor is left to ask for ${hostname}; raise the limit (ulimit -n)`, {
      cause,
      retryable: true,
    });
  }
}

/** More questions wait than `maxWaiting`. */
export class NameQueueFullError extends NameError {
  readonly code = 'NETWORK_NAME_QUEUE_FULL';
  readonly kind = 'queue-full';

  constructor(hostname: string, maxWaiting: number) {
    super(hostname, `${maxWaiting} questions wait already, so ${hostname} is not asked for`, {
      retryable: true,
    });
  }
}

/** Half of `maxNames` are watched already. */
export class NameLimitError extends HoldfastError {
  readonly code = 'NETWORK_NAME_LIMIT';

  constructor(hostname: string, watched: number) {
    super(`${watched} names are watched already, so ${hostname} is not; raise maxNames`, {
      outcome: 'not-applied',
    });
  }
}
