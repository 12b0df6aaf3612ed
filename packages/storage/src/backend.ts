/**
 * What every call to a store ends in. Nothing throws, and nothing ends in a state the caller has to guess:
 *
 * - `ok`: done, and proven by what the store answered (an id and the stored key; an ETag).
 * - `notFound`: the object, or its bucket, is not there.
 * - `conflict`: the condition of a write does not hold; nothing was written.
 * - `denied`: the store does not let us; time alone will not mend it.
 * - `invalid`: the store will never take this key or this body.
 * - `transient`: nothing was written, and the same call may succeed later.
 * - `unknown`: a write may have been applied, now or later.
 */
export type BackendResult<T> = { readonly kind: 'ok'; readonly value: T } | BackendFailure;

export type FailureKind = 'notFound' | 'conflict' | 'denied' | 'invalid' | 'transient' | 'unknown';

export interface BackendFailure {
  readonly kind: FailureKind;
  /** What was seen, such as `HTTP 400 DatabaseReadOnly (503)`. Carries no secret. */
  readonly message: string;
  /** The store's own code. */
  readonly code?: string;
  readonly cause?: unknown;
  /** How long the store asks to be left alone, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** Who wrote an object; kept in its metadata, so that a write whose answer was lost is recognised. */
export interface WriteStamp {
  readonly operationId: string;
  /** Rises with every write of one storage; of two writes of one key the higher one is the later. */
  readonly generation: number;
  readonly sha256: string;
}

/** The bytes of a write, readable as often as it takes. */
export interface BodySource {
  readonly size: number;
  /** The whole body, when it stands in memory anyway. */
  readonly bytes?: Uint8Array;
  /**
   * The bytes from offset `from` up to, not including, `to`.
   * @param into memory that may be used for one chunk after the other, each good until the next is asked
   *   for: a long body in chunks of their own leaves 64 MiB behind before Node takes any of it back.
   */
  open(from?: number, to?: number, into?: Uint8Array): AsyncIterable<Uint8Array>;
}

/**
 * What must hold for a write to be made: nothing, no such object, or exactly this version of it. A store
 * that cannot check it with the write is asked beforehand, which another writer may slip through.
 */
export type WriteCondition = 'none' | 'absent' | { readonly version: string };

/** How far a large upload has come; kept by the caller, so that another process can go on with it. */
export interface UploadProgress {
  /** What was saved last, as JSON; `undefined` for a new upload. */
  readonly saved: unknown;
  /** Resolves once it is kept. */
  save(state: unknown): Promise<void>;
}

export interface PutOptions {
  readonly contentType: string;
  /** How long others may keep a copy, in seconds. */
  readonly maxAgeSeconds: number;
  /** The caller's own. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly stamp: WriteStamp;
  readonly condition: WriteCondition;
  readonly signal: AbortSignal;
  readonly progress?: UploadProgress;
}

export interface PutReceipt {
  /** Tells this content from any other under the same key; absent when the store names none. */
  readonly version?: string;
}

/** What a store knows about an object without its bytes. */
export interface ObjectHead {
  readonly key: string;
  readonly size: number;
  readonly version?: string;
  readonly contentType?: string;
  readonly lastModifiedEpochMs?: number;
  /** What the store's own clock said when it answered: its age is by that, whatever ours says. */
  readonly servedAtEpochMs?: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Absent when somebody else wrote it. */
  readonly stamp?: WriteStamp;
}

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
  /** Where the last page ended. */
  readonly cursor?: string;
}

export interface ListedObject {
  readonly key: string;
  readonly size?: number;
  readonly lastModifiedEpochMs?: number;
}

export interface ListPage {
  readonly objects: readonly ListedObject[];
  /** Absent on the last page. */
  readonly cursor?: string;
}

/**
 * One bucket of one store. Its calls make one attempt each, end within a deadline of their own, and leave
 * retrying to the caller. A key is stored byte for byte as asked, or refused before anything is sent.
 */
export interface StorageBackend {
  /** Tells the backends of one storage apart, also in the next process: part of what is kept on disk. */
  readonly name: string;
  readonly bucket: string;
  /** Bodies larger than this are sent in parts that can be resumed. */
  readonly largeFromBytes: number;
  /** Why this key cannot be stored here, in words; `undefined` when it can. */
  refuseKey(key: string): string | undefined;
  put(key: string, body: BodySource, options: PutOptions): Promise<BackendResult<PutReceipt>>;
  get(key: string, options: GetOptions): Promise<BackendResult<ObjectContent>>;
  head(key: string, options: { signal: AbortSignal }): Promise<BackendResult<ObjectHead>>;
  /** Removing what is not there is `ok`. */
  remove(key: string, options: { signal: AbortSignal }): Promise<BackendResult<undefined>>;
  /** Objects whose keys begin with `prefix`, in the order of their bytes. */
  list(prefix: string, options: ListOptions): Promise<BackendResult<ListPage>>;
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

export function ok<T>(value: T): BackendResult<T> {
  return { kind: 'ok', value };
}

export function fail(
  kind: FailureKind,
  message: string,
  details: { code?: string | undefined; cause?: unknown; retryAfterMs?: number | undefined } = {},
): BackendFailure {
  const { code, cause, retryAfterMs } = details;
  return {
    kind,
    message,
    ...(code !== undefined && { code }),
    ...(cause !== undefined && { cause }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** A call to a backend that breaks its promise and throws is one whose end nobody knows. */
export function fromThrown(effect: 'read' | 'write', cause: unknown): BackendFailure {
  const kind = effect === 'read' ? 'transient' : 'unknown';
  return fail(kind, 'the backend threw instead of answering', { cause });
}

/** What the call ends in, also when it throws. */
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
