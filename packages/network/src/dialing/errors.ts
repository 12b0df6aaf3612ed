import { HoldfastError } from '@holdfast/foundation';
import type { IpAddress } from '../network.ts';

/** An address that is not public, which the dialer's `allowPrivate` does not permit. */
export class PrivateAddressError extends HoldfastError {
  readonly code = 'NETWORK_PRIVATE_ADDRESS';
  readonly hostname: string;
  readonly address: string;
  /** What the address is, such as `loopback` or `link-local`. */
  readonly range: string;

  constructor(hostname: string, address: string, range: string) {
    const name = hostname === address ? '' : `${hostname} is `;
    super(
      `${name}${address} is refused: it is ${range}; permit it with allowPrivate, such as ['${address}'], if users cannot choose the address`,
      { outcome: 'not-applied' },
    );
    this.hostname = hostname;
    this.address = address;
    this.range = range;
  }
}

/** A dial did not end in time. Nothing was sent. */
export class DialTimeoutError extends HoldfastError {
  readonly code = 'NETWORK_DIAL_TIMEOUT';
  readonly hostname: string;
  readonly port: number;
  /** What was awaited at the deadline. */
  readonly phase: 'name' | 'connect' | 'handshake';
  readonly timeoutMs: number;

  constructor(
    hostname: string,
    port: number,
    phase: 'name' | 'connect' | 'handshake',
    timeoutMs: number,
  ) {
    super(`no connection to ${hostname}:${port} within ${timeoutMs} ms; awaited: ${phase}`, {
      retryable: true,
      outcome: 'not-applied',
    });
    this.hostname = hostname;
    this.port = port;
    this.phase = phase;
    this.timeoutMs = timeoutMs;
  }
}

/**
 * Why no address could be connected. `resources`: this process or machine has no descriptor, buffer or local port left,
 * which says nothing about the server.
 */
export type DialFailure = 'name' | 'refused' | 'unreachable' | 'reset' | 'resources' | 'other';

/** One attempt of a dial. */
export interface DialAttempt {
  readonly address: IpAddress;
  readonly error: unknown;
}

/** No address of the name could be connected. Nothing was sent. */
export class DialFailedError extends HoldfastError {
  readonly code = 'NETWORK_DIAL_FAILED';
  readonly kind: DialFailure;
  readonly hostname: string;
  readonly port: number;
  /** In the order in which they failed. */
  readonly attempts: readonly DialAttempt[];

  constructor(
    target: { readonly hostname: string; readonly port: number },
    kind: DialFailure,
    attempts: readonly DialAttempt[],
    cause: unknown,
  ) {
    const tried = attempts.map(({ address, error }) => `${address.address} ${codeOf(error)}`);
    const seen = tried.length === 0 ? codeOf(cause) : tried.join(', ');
    super(`no connection to ${target.hostname}:${target.port} (${kind}): ${seen}`, {
      cause,
      // Of a name that does not exist, the name servers were sure.
      retryable: codeOf(cause) !== 'ENOTFOUND',
      outcome: 'not-applied',
    });
    this.kind = kind;
    this.hostname = target.hostname;
    this.port = target.port;
    this.attempts = attempts;
  }
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' ? code : String(Reflect.get(error, 'message'));
}
