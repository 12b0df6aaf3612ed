import { HoldfastError } from '@holdfast/foundation';

/** No address is known for a layer of a state. */
export class EndpointUnknownError extends HoldfastError {
  readonly code = 'ATLAS_ENDPOINT_UNKNOWN';

  constructor(state: string, layer: string) {
    super(`no endpoint is known for ${layer} of ${state}; add it to the option endpoints`, {
      outcome: 'not-applied',
    });
  }
}

/** A portal answered with an error: by its status, or in a document with the status 200. */
export class PortalResponseError extends HoldfastError {
  readonly code = 'ATLAS_PORTAL_RESPONSE';
  readonly status: number;

  constructor(endpoint: string, status: number, retryAfterMs?: number) {
    super(`${endpoint} answered with ${status}`, {
      retryable: status === TOO_MANY || status >= SERVER_ERROR,
      outcome: 'not-applied',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
    this.status = status;
  }
}

const TOO_MANY = 429;
const SERVER_ERROR = 500;

/** What a portal sent is no page of features: a cut document, HTML, or more bytes than permitted. */
export class PortalPageInvalidError extends HoldfastError {
  readonly code = 'ATLAS_PORTAL_PAGE_INVALID';

  constructor(endpoint: string, seen: string, cause?: unknown) {
    super(`${endpoint}: ${seen}`, { retryable: true, outcome: 'not-applied', cause });
  }
}

/** The pages of a layer are not as many features as the portal counts; they changed meanwhile, or are incomplete. */
export class LayerIncompleteError extends HoldfastError {
  readonly code = 'ATLAS_LAYER_INCOMPLETE';

  constructor(endpoint: string, received: number, counted: number) {
    super(`${endpoint} sent ${received} features and counts ${counted}; extract it again`, {
      retryable: true,
      outcome: 'not-applied',
    });
  }
}

/** A layer has more features or pages than permitted. */
export class LayerTooLargeError extends HoldfastError {
  readonly code = 'ATLAS_LAYER_TOO_LARGE';

  constructor(endpoint: string, limit: string) {
    super(`${endpoint} has more than ${limit}; raise it, or narrow the endpoint`, {
      outcome: 'not-applied',
    });
  }
}

/** A task of a distributed batch was not extracted; the queue tries it again. */
export class TaskNotExtractedError extends HoldfastError {
  readonly code = 'ATLAS_TASK_NOT_EXTRACTED';

  constructor(task: string, cause: unknown) {
    super(`${task} was not extracted`, { retryable: true, outcome: 'not-applied', cause });
  }
}

/** A position of a lookup is missing or out of range. */
export class CoordinatesInvalidError extends HoldfastError {
  readonly code = 'INVALID_COORDINATES';

  constructor() {
    super('lat must be a number from -90 to 90, and lon one from -180 to 180', {
      outcome: 'not-applied',
    });
  }
}

/** The lookup fails for all, and no answer is kept for this position. */
export class ServiceDegradedError extends HoldfastError {
  readonly code = 'SERVICE_DEGRADED';

  constructor(cause: unknown, retryAfterMs: number) {
    super('Service temporarily degraded', {
      retryable: true,
      outcome: 'not-applied',
      retryAfterMs,
      cause,
    });
  }
}

/** One lookup has failed, and no answer is kept for this position. The cause is not for clients. */
export class LookupFailedError extends HoldfastError {
  readonly code = 'INTERNAL_ERROR';

  constructor(cause: unknown) {
    super('The lookup has failed', { retryable: true, outcome: 'not-applied', cause });
  }
}

/** A CID of a kind that is not verified here: another hash than SHA-256, or another codec than raw and dag-pb. */
export class CidUnsupportedError extends HoldfastError {
  readonly code = 'ATLAS_CID_UNSUPPORTED';

  constructor(cid: string, seen: string, cause?: unknown) {
    super(`${cid} ${seen}`, { outcome: 'not-applied', cause });
  }
}

/** Blocks that are as their CIDs say, and yet no file or no snapshot. No gateway has better ones. */
export class SnapshotInvalidError extends HoldfastError {
  readonly code = 'ATLAS_SNAPSHOT_INVALID';

  constructor(cid: string, seen: string, cause?: unknown) {
    super(`${cid} ${seen}`, { outcome: 'not-applied', cause });
  }
}
