import type { Subscribe } from '@holdfast/foundation';
import type { BackendFailure, ListedObject } from './backend.ts';
import type { Body } from './object/body.ts';

/**
 * Objects that are accepted through an outage of every server they are kept on.
 *
 * What it promises:
 * - **Loss**: an upload that resolved is on a backend or durable in the journal of this machine, and stays
 *   there until every backend has it or a later write of the same key has taken its place.
 * - **Order**: each backend sees the writes of one key in the order they were accepted, the latest of those
 *   that waited; a removal is a write. A write that a server applies late does not outlive its successor.
 * - **Duplicates**: a write whose answer was lost is recognised by its operation id, and not sent again.
 * - **Truth**: `stored` says where an object is at that moment. Success is believed only when the answer
 *   proves it.
 */
export interface Storage {
  /** Listens to what happens; the same events are published on `node:diagnostics_channel`. */
  readonly on: Subscribe<StorageEvents>;
  /**
   * Resolves once the journal is open and what it holds is known. Calling it is optional.
   * @throws the journal's own errors, such as `JournalUnavailableError` for a directory not writable.
   */
  ready(): Promise<void>;
  /**
   * Accepts an object, durably, and waits a bounded time for the primary to have it too.
   * @throws InvalidKeyError, InvalidBodyError, BodyNotRepeatableError, StorageFullError, ObjectRefusedError
   *   when the primary says at once that it never takes it, StorageClosedError, the signal's own reason.
   *   Nothing is stored then, except that an abort after the write became durable only ends the wait.
   */
  upload(path: string, body: Body, options?: UploadOptions): Promise<Stored>;
  /**
   * The latest bytes this process knows of or can reach: its own pending write, the backends in their
   * order, the local copy. Bodies up to `verifyWholeBytes` are checked before it resolves, larger ones
   * while they are read.
   * @throws ObjectNotFoundError, StorageUnavailableError, InvalidKeyError, StorageClosedError, the
   *   signal's own reason
   */
  download(path: string, options?: CallOptions): Promise<Download>;
  /** Accepts a removal, durably, as `upload` accepts a write. */
  remove(path: string, options?: WriteOptions): Promise<Stored>;
  /** Keys that begin with `prefix`, with what is pending already applied. */
  list(prefix: string, options?: ListCallOptions): Promise<Listing>;
  exists(path: string, options?: CallOptions): Promise<boolean>;
  /**
   * What is known of an object without its bytes, by whom `download` would ask.
   * @throws as `download` does
   */
  info(path: string, options?: CallOptions): Promise<ObjectInfo>;
  /** Writes that not every backend has yet, oldest first. */
  pending(): PendingWrite[];
  /** Drops a write that a backend refuses for good; false when there is none of that id. */
  discard(operationId: string): Promise<boolean>;
  /**
   * Waits until every backend has everything, for at most `deadlineMs`.
   * @returns how many writes are still pending then.
   */
  flush(options: { deadlineMs: number; signal?: AbortSignal }): Promise<number>;
  getStats(): StorageStats;
  health(): StorageHealth;
  /** Stops sending and gives the journal free; what is pending stays in it. */
  close(options?: { deadlineMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** How long to wait for the primary, in milliseconds. Default: the storage's `acknowledgeWithinMs`. */
  acknowledgeWithinMs?: number;
}

export interface UploadOptions extends WriteOptions {
  /** Default `application/octet-stream`. */
  contentType?: string;
  /** How long others may keep a copy, in seconds. Default 3 600. */
  maxAgeSeconds?: number;
  /** Up to 32 pairs, 2 000 bytes together; names of letters, digits and `-`. */
  metadata?: Readonly<Record<string, string>>;
}

export interface ListCallOptions extends CallOptions {
  /** Default 100, at most 1 000. */
  limit?: number;
  cursor?: string;
}

export interface Stored {
  readonly path: string;
  /**
   * `primary`: the first backend has it. `queued`: durable in the journal, on its way. `local`: the same,
   * and no backend is taking writes at this moment, so that it can be read from this machine only.
   */
  readonly stored: 'primary' | 'queued' | 'local';
  /** Whether the primary does not have it yet. */
  readonly fallback: boolean;
  readonly operationId: string;
}

export interface ObjectInfo {
  readonly path: string;
  /** Who said so: `pending`, `local`, or a backend's name. */
  readonly from: string;
  readonly size: number;
  readonly contentType?: string;
  readonly lastModifiedEpochMs?: number;
  /** Tells this content from any other at the backend that was asked. */
  readonly version?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Download {
  readonly path: string;
  /** Who had it: `pending`, `local`, or a backend's name. */
  readonly from: string;
  readonly size: number;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Read once. Throws BodyIntegrityError when it ends early or is not what was stored. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The whole body; instead of `body`. */
  bytes(): Promise<Uint8Array>;
}

export interface Listing {
  readonly objects: readonly ListedObject[];
  readonly cursor?: string;
  /** Which backend was asked. */
  readonly from: string;
}

export interface PendingWrite {
  readonly path: string;
  readonly kind: 'put' | 'remove';
  readonly operationId: string;
  readonly bytes: number;
  readonly acceptedAtEpochMs: number;
  /** The backends that do not have it yet. */
  readonly waitingFor: readonly string[];
  /** What a backend said that refuses it for good. */
  readonly refused?: BackendFailure;
}

export type BackendHealth = 'up' | 'recovering' | 'down' | 'denied';

export interface StorageHealth {
  /** `healthy`: every backend takes writes. `degraded`: writes wait. `critical`: no backend can be reached. */
  readonly level: 'healthy' | 'degraded' | 'critical';
  readonly backends: Readonly<Record<string, { state: BackendHealth; lastError?: string }>>;
  readonly pendingWrites: number;
  readonly oldestPendingMs?: number;
}

export interface BackendStats {
  readonly state: BackendHealth;
  readonly waiting: number;
  readonly inFlight: number;
  readonly puts: number;
  readonly putBytes: number;
  readonly removes: number;
  readonly heads: number;
  /** Writes found already applied, so that no bytes were sent again. */
  readonly alreadyApplied: number;
  /** Writes overtaken by a later one of their key before they were sent. */
  readonly superseded: number;
  /** How often a call ended so. */
  readonly failures: Readonly<Record<BackendFailure['kind'], number>>;
}

export interface StorageStats {
  readonly accepted: number;
  readonly acceptedBytes: number;
  readonly pendingWrites: number;
  readonly pendingBytes: number;
  readonly conflicts: number;
  readonly repairs: number;
  readonly refused: number;
  readonly downloads: Readonly<Record<string, number>>;
  readonly backends: Readonly<Record<string, BackendStats>>;
  readonly localCopies: { readonly entries: number; readonly bytes: number };
}

/** What `on()` and the channels `holdfast:storage:<kind>` announce. Times are the clock's `now()`. */
export interface StorageEvents {
  /** A backend came into another state; `error` says why it left `up`. */
  backend: {
    backend: string;
    from: BackendHealth;
    to: BackendHealth;
    error?: string;
    atMs: number;
  };
  /** A backend has a write that waited for it. */
  settled: { backend: string; path: string; operationId: string; waitedMs: number; atMs: number };
  /** A backend has everything that waited for it. */
  drained: { backend: string; writes: number; atMs: number };
  /** Somebody else wrote the key meanwhile. */
  conflict: {
    backend: string;
    path: string;
    operationId: string;
    resolution: ConflictResolution;
    atMs: number;
  };
  /** A backend will never take this write; it stays pending until it is discarded or overtaken. */
  refused: { backend: string; path: string; operationId: string; error: string; atMs: number };
  /** A late write had undone its successor, which was written again. */
  'late-write': { backend: string; path: string; operationId: string; atMs: number };
  /** A backend had bytes that are not what was stored; good ones are on their way. */
  repair: { backend: string; path: string; atMs: number };
}

/** What becomes of two writes of one key: ours stands, theirs stands, theirs stands and ours beside it. */
export type ConflictResolution = 'ours' | 'theirs' | 'keep-both' | 'refuse';

export interface Conflict {
  readonly backend: string;
  readonly path: string;
  readonly operationId: string;
  readonly kind: 'put' | 'remove';
  /** By this machine's wall clock. */
  readonly acceptedAtEpochMs: number;
  /** How long ago ours was accepted. */
  readonly ageMs: number;
  readonly theirs: {
    readonly version?: string;
    /** By the server's clock. */
    readonly lastModifiedEpochMs?: number;
    /** How long ago that was, by the server's clock alone where it tells it, to a second. */
    readonly ageMs?: number;
    readonly size: number;
  };
}
