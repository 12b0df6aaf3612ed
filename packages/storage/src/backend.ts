/**
 * The result of every call to a store. No call throws, and none ends in a state that the caller has to guess:
 *
 * - `ok`: done, and proven by the response (an id and the stored key; an ETag).
 * - `notFound`: the object, or its bucket, does not exist.
 * - `conflict`: the condition of a write does not hold; nothing was written.
 * - `denied`: we are not allowed to; waiting does not help.
 * - `invalid`: the store will never take this key or this body.
 * - `transient`: nothing was written, and the same call may succeed later.
 * - `unknown`: a write may have been applied, or may be later.
 */
export type BackendResult<T> = { readonly kind: 'ok'; readonly value: T } | StorageFailure;

/** What a failure of a store means for the write or read: whether to repeat it, to ask another, or to give it up. */
export type FailureKind = 'notFound' | 'conflict' | 'denied' | 'invalid' | 'transient' | 'unknown';

/** A failure of a store, classified where it was seen. */
export interface StorageFailure {
  readonly kind: FailureKind;
  /** What was observed, such as `HTTP 400 DatabaseReadOnly (503)`. Contains no secret. */
  readonly message: string;
  /** The store's own code. */
  readonly code?: string;
  readonly cause?: unknown;
  /** How long the store asks its clients to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  /** The right that a `denied` call lacks, or that it takes to see what is in the way of a `conflict`. */
  readonly right?: string;
}

/** Identifies the write that made an object; kept in the object's metadata, so that a write whose response was
 * lost is recognized. */
export interface WriteStamp {
  readonly operationId: string;
  /** Rises with every write of one storage: of two writes of one key the later has the higher one. */
  readonly generation: number;
  readonly sha256: string;
}

/** The bytes of a write; they can be read any number of times. */
export interface BodySource {
  readonly size: number;
  /** The whole body, if it is in memory. */
  readonly bytes?: Uint8Array;
  /**
   * The bytes from offset `from` up to, not including, `to`.
   * @param reuses whether all chunks may be in the same memory, each valid until the next is requested. Otherwise
   *   every chunk is allocated, and Node collects those of a long body only every 64 MiB.
   */
  open(from?: number, to?: number, reuses?: boolean): AsyncIterable<Uint8Array>;
}

/**
 * The condition of a write: none, no such object, or exactly this version of it. Where a store cannot check it
 * atomically it is checked before the write, and another writer may come in between.
 */
export type PutCondition = 'none' | 'absent' | { readonly version: string };

/** The progress of a large upload; the caller keeps it, so that another process can resume the upload. */
export interface UploadProgress {
  /** The state saved last, as JSON; `undefined` for a new upload. */
  readonly saved: unknown;
  /** Resolves once the state is durable. */
  save(state: unknown): Promise<void>;
}

/** What a backend gets with the bytes of an object. */
export interface PutOptions {
  /** The media type that readers are told. */
  readonly contentType: string;
  /** How long others may keep a copy, in seconds. */
  readonly maxAgeSeconds: number;
  /** The caller's own metadata. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Which write this is; it is stored with the object, so that a later look can tell it from others. */
  readonly stamp: WriteStamp;
  /** What must hold of the object that is there, for the write to be applied. */
  readonly condition: PutCondition;
  /** Aborts the request. */
  readonly signal: AbortSignal;
  /**
   * Told of the bytes that were sent, so that a large upload can go on where it was interrupted. Default: nobody is
   * told.
   */
  readonly progress?: UploadProgress;
}

/** What a store tells of a write that it has taken. */
export interface PutReceipt {
  /** Distinguishes this content from any other of the key; absent when the store returns none. */
  readonly version?: string;
}

/** What a store tells of an object beside its bytes; a field is absent where it does not tell it. */
export interface ObjectDetails {
  readonly contentType?: string;
  /** The header, such as `max-age=3600`. */
  readonly cacheControl?: string;
  /** The entity tag, as the store writes it. */
  readonly etag?: string;
  readonly createdEpochMs?: number;
  readonly lastModifiedEpochMs?: number;
}

/** The description of an object. */
export interface ObjectHead extends ObjectDetails {
  readonly key: string;
  readonly size: number;
  readonly version?: string;
  /** The store's clock at the time of the response: the object's age does not depend on our clock. */
  readonly servedAtEpochMs?: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Absent when another writer wrote it. */
  readonly stamp?: WriteStamp;
}

/** An object as a backend sends it. */
export interface ObjectContent {
  readonly head: ObjectHead;
  /** Throws {@link BodyIntegrityError} when it ends early. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface GetOptions {
  readonly signal: AbortSignal;
  /** Offset of the first byte wanted. Default 0. */
  readonly from?: number;
  /** Only this version; another one is a `conflict`. */
  readonly version?: string;
}

export interface ListOptions {
  readonly signal: AbortSignal;
  /** 1 to 1 000. */
  readonly limit: number;
  /** The cursor of the page before. */
  readonly cursor?: string;
}

/** An object in a listing; a field is absent where the store does not tell it. */
export interface ListedObject extends ObjectDetails {
  readonly key: string;
  readonly size?: number;
}

export interface ObjectPage {
  readonly objects: readonly ListedObject[];
  /** Absent on the last page. */
  readonly cursor?: string;
}

/**
 * One bucket of one store. Each call makes one attempt with a deadline of its own and leaves retries to the
 * caller. A key is stored byte for byte as given, or refused before anything is sent.
 */
export interface StorageBackend {
  /** Identifies the backend within its storage, in the next process too: the journal contains it. */
  readonly name: string;
  readonly bucket: string;
  /** Where it keeps its objects on this machine, if it does. */
  readonly directory?: string;
  /** Larger bodies are sent in parts that can be resumed. */
  readonly largeFromBytes: number;
  /** What the key must be to be stored here; `undefined` when it can be stored. */
  refuseKey(key: string): string | undefined;
  put(key: string, body: BodySource, options: PutOptions): Promise<BackendResult<PutReceipt>>;
  get(key: string, options: GetOptions): Promise<BackendResult<ObjectContent>>;
  head(key: string, options: { signal: AbortSignal }): Promise<BackendResult<ObjectHead>>;
  /** Removing what is not there is `ok`. */
  remove(key: string, options: { signal: AbortSignal }): Promise<BackendResult<undefined>>;
  /** Objects whose keys begin with `prefix`, in the order of their bytes. */
  list(prefix: string, options: ListOptions): Promise<BackendResult<ObjectPage>>;
  /**
   * Gives back what a large upload that will never be finished holds at the store; absent where nothing is
   * held. That there is nothing is `ok`.
   * @param saved what its {@link UploadProgress} was told last.
   */
  abandon?(
    key: string,
    saved: unknown,
    options: { signal: AbortSignal },
  ): Promise<BackendResult<undefined>>;
}

/**
 * The result of a call that takes this right, named where the call is denied for the lack of one. A `denied` with
 * another code is about the credentials.
 */
export function needing<T>(right: string, result: BackendResult<T>): BackendResult<T> {
  if (result.kind === 'conflict') return { ...result, right };
  return lacksRight(result)
    ? { ...result, right, message: `${result.message}: it takes ${right}` }
    : result;
}

/** Whether a call is denied for the lack of a right, not for its credentials. */
export function lacksRight(result: BackendResult<unknown>): result is StorageFailure {
  if (result.kind !== 'denied' || result.right !== undefined) return false;
  return result.code === undefined || withoutRight.has(result.code);
}

/** `Unknown`, `403` and `Forbidden`: a response to HEAD has no body. */
const withoutRight = new Set(['AccessDenied', 'AllAccessDisabled', 'Unknown', '403', 'Forbidden']);

export function ok<T>(value: T): BackendResult<T> {
  return { kind: 'ok', value };
}

export function fail(
  kind: FailureKind,
  message: string,
  details: {
    code?: string | undefined;
    cause?: unknown;
    retryAfterMs?: number | undefined;
    right?: string;
  } = {},
): StorageFailure {
  const { code, cause, retryAfterMs, right } = details;
  return {
    kind,
    message,
    ...(code !== undefined && { code }),
    ...(cause !== undefined && { cause }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(right !== undefined && { right }),
  };
}

/** The result of a call that threw, against the contract: nobody knows how it ended. */
function fromThrown(effect: 'read' | 'write', cause: unknown): StorageFailure {
  const kind = effect === 'read' ? 'transient' : 'unknown';
  return fail(kind, 'the backend threw instead of returning a result', { cause });
}

/** The result of the call, also when it throws. */
export async function toResult<T>(
  effect: 'read' | 'write',
  call: () => Promise<BackendResult<T>>,
): Promise<BackendResult<T>> {
  try {
    return await call();
  } catch (cause) {
    return fromThrown(effect, cause);
  }
}
