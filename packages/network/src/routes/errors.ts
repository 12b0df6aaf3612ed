import { HoldfastError, describeThrown, propertyOf } from '@holdfast/foundation';

/** No node may take the call: the pool is empty, or every node is excluded, drains, or is ejected without panic. */
export class NoHealthyInstancesError extends HoldfastError {
  readonly code = 'NETWORK_NO_HEALTHY_INSTANCES';
  readonly service: string;
  /** The nodes of the pool, whatever their state. */
  readonly nodes: number;

  constructor(service: string, nodes: number) {
    const seen =
      nodes === 0 ? 'its pool is empty' : `none of its ${nodes} nodes may take the call now`;
    super(`${service}: ${seen}; add nodes, or call again later`, {
      retryable: true,
      outcome: 'not-applied',
    });
    this.service = service;
    this.nodes = nodes;
  }
}

/** The load balancer has no service of this name. */
export class ServiceNotFoundError extends HoldfastError {
  readonly code = 'NETWORK_SERVICE_NOT_FOUND';
  readonly service: string;

  constructor(service: string, known: readonly string[]) {
    super(`no service is named ${JSON.stringify(service)}; known are ${known.join(', ')}`, {
      outcome: 'not-applied',
    });
    this.service = service;
  }
}

/** A node or gateway, or all of them together, did not answer in time. */
export class RouteTimeoutError extends HoldfastError {
  readonly code = 'NETWORK_ROUTE_TIMEOUT';
  readonly timeoutMs: number;

  /** @param who what was asked, such as `node a`. */
  constructor(who: string, timeoutMs: number) {
    super(`${who} has not answered within ${timeoutMs} ms`, {
      retryable: true,
      outcome: 'unknown',
    });
    this.timeoutMs = timeoutMs;
  }
}

/** One attempt that failed, and where. */
export interface RouteAttempt {
  /** The node's id or the gateway's URL. */
  readonly target: string;
  readonly error: unknown;
}

/** Each node that was tried failed. */
export class NodesFailedError extends HoldfastError {
  readonly code = 'NETWORK_NODES_FAILED';
  readonly attempts: readonly RouteAttempt[];

  constructor(service: string, attempts: readonly RouteAttempt[]) {
    const pauses = attempts.map(({ error }) => propertyOf(error, 'retryAfterMs'));
    const asked = pauses.filter((pause) => typeof pause === 'number');
    super(`${service}: ${attempts.length} attempts failed: ${describeAttempts(attempts)}`, {
      retryable: true,
      outcome: 'unknown',
      cause: attempts.at(-1)?.error,
      // Where each node asks for a pause, the shortest is enough.
      ...(asked.length === attempts.length && { retryAfterMs: Math.min(...asked) }),
    });
    this.attempts = attempts;
  }
}

/** All gateways failed; `attempts` says why each did. */
export class GatewaysFailedError extends HoldfastError {
  readonly code = 'NETWORK_GATEWAYS_FAILED';
  readonly path: string;
  readonly attempts: readonly RouteAttempt[];

  constructor(path: string, attempts: readonly RouteAttempt[]) {
    super(`all gateways failed for ${path}: ${describeAttempts(attempts)}`, {
      retryable: true,
      cause: attempts.at(-1)?.error,
    });
    this.path = path;
    this.attempts = attempts;
  }
}

/** A gateway answered, but not with the content. */
export class GatewayResponseError extends HoldfastError {
  readonly code = 'NETWORK_GATEWAY_RESPONSE';
  readonly status: number;

  constructor(gateway: string, status: number, retryAfterMs?: number) {
    super(`${gateway} answered with status ${status}`, {
      retryable: status === 429 || status >= 500,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
    this.status = status;
  }
}

/** What arrived is not what was asked for: its digest differs, or the verifier refused it. */
export class ContentMismatchError extends HoldfastError {
  readonly code = 'NETWORK_CONTENT_MISMATCH';
  /** The gateways that sent parts of it. */
  readonly gateways: readonly string[];

  constructor(path: string, gateways: readonly string[], seen: string) {
    super(`${path} from ${gateways.join(' and ')} is other content than expected: ${seen}`);
    this.gateways = gateways;
  }
}

/** The content has more bytes than `maxBytes`; the rest was not read. */
export class ContentTooLargeError extends HoldfastError {
  readonly code = 'NETWORK_CONTENT_TOO_LARGE';
  readonly maxBytes: number;

  constructor(gateway: string, path: string, maxBytes: number) {
    super(`${path} from ${gateway} is over maxBytes (${maxBytes}); raise it, or ask for less`);
    this.maxBytes = maxBytes;
  }
}

/** A body ended before its announced length. */
export class ContentCutError extends HoldfastError {
  readonly code = 'NETWORK_CONTENT_CUT';

  constructor(gateway: string, received: number, announced: number) {
    super(`${gateway} sent ${received} of ${announced} bytes`, { retryable: true });
  }
}

function describeAttempts(attempts: readonly RouteAttempt[]): string {
  return attempts.map(({ target, error }) => `${target}: ${describeThrown(error)}`).join('; ');
}
