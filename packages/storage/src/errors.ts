import { HoldfastError, type HoldfastErrorDetails } from '@holdfast/foundation';
import type { BackendFailure } from './backend.ts';

/** The key cannot be stored byte for byte; nothing was sent or stored. */
export class InvalidKeyError extends HoldfastError {
  readonly code = 'STORAGE_INVALID_KEY';
  readonly key: string;
  /** What a key has to be, in words. */
  readonly permitted: string;

  constructor(tried: string, key: string, permitted: string, by: string) {
    super(`${tried}: the key ${shown(key)} must be ${permitted} (${by}); choose another key`, {
      outcome: 'not-applied',
    });
    this.key = key;
    this.permitted = permitted;
  }
}

/** The body is of no kind that can be stored, or not what it said it is; nothing was stored. */
export class InvalidBodyError extends HoldfastError {
  readonly code = 'STORAGE_INVALID_BODY';

  constructor(key: string, seen: string, details: HoldfastErrorDetails = {}) {
    super(`upload of ${shown(key)}: ${seen}`, { outcome: 'not-applied', ...details });
  }
}

/** A stream was given that can be read once only; nothing was stored. */
export class BodyNotRepeatableError extends HoldfastError {
  readonly code = 'STORAGE_BODY_NOT_REPEATABLE';

  constructor(key: string) {
    super(
      `upload of ${shown(key)}: the body is a stream, which a second attempt could not read again; ` +
        'give a function that opens it anew each time',
      { outcome: 'not-applied' },
    );
  }
}

/** There is no room for the object on this machine; nothing was stored. */
export class StorageFullError extends HoldfastError {
  readonly code = 'STORAGE_FULL';
  /** Which bound: an option's name, or the disk itself. */
  readonly limit: 'maxBytes' | 'maxObjectBytes' | 'maxPending' | 'minFreeBytes' | 'disk';
  readonly bytes: number;

  constructor(
    limit: StorageFullError['limit'],
    bytes: number,
    seen: string,
    details: HoldfastErrorDetails = {},
  ) {
    super(`upload: ${seen}; wait until the backlog has drained, or raise the bound`, {
      outcome: 'not-applied',
      retryable: limit !== 'maxObjectBytes',
      ...details,
    });
    this.limit = limit;
    this.bytes = bytes;
  }
}

/** There is no such object. */
export class ObjectNotFoundError extends HoldfastError {
  readonly code = 'STORAGE_NOT_FOUND';
  readonly key: string;

  constructor(key: string, seen: string) {
    super(`download of ${shown(key)}: ${seen}`);
    this.key = key;
  }
}

/** No backend, no pending write and no local copy could answer. */
export class StorageUnavailableError extends HoldfastError {
  readonly code = 'STORAGE_UNAVAILABLE';
  /** What each of them said, in the order they were asked. */
  readonly attempts: readonly { readonly from: string; readonly failure: BackendFailure }[];

  constructor(
    tried: string,
    attempts: readonly { readonly from: string; readonly failure: BackendFailure }[],
  ) {
    const seen = attempts.map(({ from, failure }) => `${from}: ${failure.message}`).join('; ');
    super(`${tried}: nobody could answer (${seen}); try again later`, {
      retryable: true,
      cause: attempts[0]?.failure.cause,
    });
    this.attempts = attempts;
  }
}

/**
 * The primary will never take this object; it is not stored there. A further backend that was faster may
 * have it, until the key is written or removed.
 */
export class ObjectRefusedError extends HoldfastError {
  readonly code = 'STORAGE_REFUSED';
  readonly failure: BackendFailure;

  constructor(key: string, backend: string, failure: BackendFailure) {
    super(
      `upload of ${shown(key)}: ${backend} refuses it for good (${failure.message}); change the object`,
      { cause: failure.cause, outcome: 'not-applied' },
    );
    this.failure = failure;
  }
}

/** The body of an answer ended early or was not what was stored. */
export class BodyIntegrityError extends HoldfastError {
  readonly code = 'STORAGE_BODY_INTEGRITY';

  constructor(key: string, seen: string, cause?: unknown) {
    super(`download of ${shown(key)}: ${seen}; read it again`, { retryable: true, cause });
  }
}

/** The storage is closed; nothing was stored. */
export class StorageClosedError extends HoldfastError {
  readonly code = 'STORAGE_CLOSED';

  constructor(tried: string) {
    super(`${tried}: the storage is closed; create a new one`, { outcome: 'not-applied' });
  }
}

function shown(key: string): string {
  return JSON.stringify(key.length > 120 ? `${key.slice(0, 120)}…` : key);
}
