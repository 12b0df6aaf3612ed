import { HoldfastError, type HoldfastErrorDetails } from '@holdfast/foundation';
import type { StorageFailure } from './backend.ts';

/** The key cannot be stored byte for byte; nothing was sent or stored. */
export class InvalidKeyError extends HoldfastError {
  readonly code = 'STORAGE_INVALID_KEY';
  readonly key: string;
  /** What the key must be. */
  readonly permitted: string;

  constructor(tried: string, key: string, permitted: string, by: string) {
    super(`${tried}: the key ${shown(key)} must be ${permitted} (${by}); choose another key`, {
      outcome: 'not-applied',
    });
    this.key = key;
    this.permitted = permitted;
  }
}

/** The body is of an unsupported kind, or its chunks are neither bytes nor text; nothing was stored. */
export class InvalidBodyError extends HoldfastError {
  readonly code = 'STORAGE_INVALID_BODY';

  constructor(key: string, seen: string, details: HoldfastErrorDetails = {}) {
    super(`upload of ${shown(key)}: ${seen}`, { outcome: 'not-applied', ...details });
  }
}

/** The body is a stream that can be read only once; nothing was stored. */
export class BodyNotRepeatableError extends HoldfastError {
  readonly code = 'STORAGE_BODY_NOT_REPEATABLE';

  constructor(key: string) {
    super(
      `upload of ${shown(key)}: the body is a stream, which a second attempt could not read; ` +
        'give a function that opens it for each attempt',
      { outcome: 'not-applied' },
    );
  }
}

/** There is no room for the object on this machine; nothing was stored. */
export class StorageFullError extends HoldfastError {
  readonly code = 'STORAGE_FULL';
  /** The limit that was reached: the name of an option, or the disk. */
  readonly limit: 'maxBytes' | 'maxObjectBytes' | 'maxPending' | 'minFreeBytes' | 'disk';
  readonly bytes: number;

  constructor(
    limit: StorageFullError['limit'],
    bytes: number,
    seen: string,
    details: HoldfastErrorDetails = {},
  ) {
    super(`upload: ${seen}; wait until the backlog has drained, or raise the limit`, {
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

/** No backend, pending write or local copy could provide the object. */
export class StorageUnavailableError extends HoldfastError {
  readonly code = 'STORAGE_UNAVAILABLE';
  /** The failure of each source, in the order of the calls. */
  readonly attempts: readonly { readonly from: string; readonly failure: StorageFailure }[];

  constructor(
    tried: string,
    attempts: readonly { readonly from: string; readonly failure: StorageFailure }[],
  ) {
    const seen = attempts.map(({ from, failure }) => `${from}: ${failure.message}`).join('; ');
    const waits = attempts.flatMap(({ failure }) => failure.retryAfterMs ?? []);
    super(`${tried}: no source responded (${seen}); try again later`, {
      retryable: true,
      ...(waits.length > 0 && { retryAfterMs: Math.min(...waits) }),
      cause: attempts[0]?.failure.cause,
    });
    this.attempts = attempts;
  }
}

/** The backends deny the call: for the lack of a right, because of the credentials, or because there is no bucket. */
export class StorageDeniedError extends HoldfastError {
  readonly code = 'STORAGE_DENIED';
  /** The right that the call lacks, such as `s3:GetObject` or `SELECT`, if the backend lets it be known. */
  readonly right: string | undefined;
  /** The failure of each source, in the order of the calls. */
  readonly attempts: readonly { readonly from: string; readonly failure: StorageFailure }[];

  constructor(
    tried: string,
    attempts: readonly { readonly from: string; readonly failure: StorageFailure }[],
  ) {
    const seen = attempts.map(({ from, failure }) => `${from}: ${failure.message}`).join('; ');
    const right = attempts.find(({ failure }) => failure.right !== undefined)?.failure.right;
    super(`${tried}: denied (${seen}); grant ${right ?? 'access'}, then try again`, {
      retryable: false,
      cause: attempts[0]?.failure.cause,
    });
    this.right = right;
    this.attempts = attempts;
  }
}

/**
 * The primary will never take this object, which is not stored there. Another backend that was faster may
 * have it until the key is written or removed.
 */
export class ObjectRefusedError extends HoldfastError {
  readonly code = 'STORAGE_REFUSED';
  readonly failure: StorageFailure;

  constructor(key: string, backend: string, failure: StorageFailure) {
    super(
      `upload of ${shown(key)}: ${backend} refuses it permanently (${failure.message}); change the object`,
      { cause: failure.cause, outcome: 'not-applied' },
    );
    this.failure = failure;
  }
}

/**
 * A move has stored the object under its new key and could not remove it from the old one: both keys have it, or the
 * removal may still take effect.
 */
export class MoveUnfinishedError extends HoldfastError {
  readonly code = 'STORAGE_MOVE_UNFINISHED';
  readonly key: string;
  readonly toKey: string;

  constructor(key: string, toKey: string, cause: unknown) {
    const seen = cause instanceof Error ? cause.message : String(cause);
    super(
      `move of ${shown(key)}: it is stored as ${shown(toKey)}, and could not be removed (${seen}); remove it`,
      { cause, outcome: 'unknown' },
    );
    this.key = key;
    this.toKey = toKey;
  }
}

/** A body ended early, or its bytes are not what was stored. */
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
