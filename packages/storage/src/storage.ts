import type { Subscribe } from '@holdfast/foundation';
import type { StorageFailure, ListedObject } from './backend.ts';
import type { Body } from './object/body.ts';

/**
 * Object storage that accepts writes during an outage of all its servers.
 *
 * Its promises:
 * - **Loss**: an upload that resolved is on a backend or durable in the journal of this machine, until every
 *   backend has it or a later write of the same key supersedes it.
 * - **Order**: each backend receives the writes of one key in the order they were accepted, only the latest of
 *   those that wait; a removal is a write. A write that a server applies late does not outlive its successor.
 * - **Duplicates**: a write whose response was lost is recognized by its operation id and not sent again.
 * - **Truth**: `stored` says where an object is at that moment. A response counts as a success only when it
 *   proves one.
 */
export interface Storage {
  /** Listens to events; they are published on `node:diagnostics_channel` too. */
  readonly on: Subscribe<StorageEvents>;
  /**
   * Resolves once the journal is open and its content is read. Calling it is optional.
   * @throws the journal's own errors, such as `JournalUnavailableError` for a directory that is not writable.
   */
  ready(): Promise<void>;
  /**
   * Accepts an object durably, then waits a bounded time until the primary has it too.
   * @throws InvalidKeyError, InvalidBodyError, BodyNotRepeatableError, StorageFullError, ObjectRefusedError
   *   when the primary refuses it permanently within that time, StorageClosedError, the signal's own reason.
   *   Nothing is stored then, except that an abort after the write became durable only ends the wait.
   */
  upload(path: string, body: Body, options?: UploadOptions): Promise<Stored>;
  /**
   * Resolves with the latest bytes that this process can reach: its own pending write, the backends in their
   * order, the local copy. Bodies up to `verifyWholeBytes` are verified before it resolves, larger ones while
   * they are read.
   * @throws ObjectNotFoundError, StorageUnavailableError, InvalidKeyError, StorageClosedError, the
   *   signal's own reason
   */
  download(path: string, options?: StorageCallOptions): Promise<Download>;
  /** Accepts a removal durably, as `upload` accepts an object. */
  remove(path: string, options?: WriteOptions): Promise<Stored>;
  /** Keys that begin with `prefix`, with pending writes applied. */
  list(prefix: string, options?: ListCallOptions): Promise<Listing>;
  exists(path: string, options?: StorageCallOptions): Promise<boolean>;
  /**
   * Describes an object without reading its bytes, from the source that `download` would use.
   * @throws the errors of `download`
   */
  info(path: string, options?: StorageCallOptions): Promise<ObjectInfo>;
  /** The writes that not every backend has yet, oldest first. */
  pending(): PendingWrite[];
  /** Drops a write that a backend refuses permanently; false when there is none of that id. */
  discard(operationId: string): Promise<boolean>;
  /**
   * Waits until every backend has every write, for at most `deadlineMs`.
   * @returns the number of writes that are still pending.
   */
  flush(options: { deadlineMs: number; signal?: AbortSignal }): Promise<number>;
  getStats(): StorageStats;
  health(): StorageHealth;
  /** Stops sending and closes the journal, which keeps the pending writes. */
  close(options?: { deadlineMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface StorageCallOptions {
  signal?: AbortSignal;
}

export interface WriteOptions extends StorageCallOptions {
  /** How long to wait for the primary, in milliseconds. Default: the storage's `acknowledgeWithinMs`. */
  acknowledgeWithinMs?: number;
}

export interface UploadOptions extends WriteOptions {
  /** Default `application/octet-stream`. */
  contentType?: string;
  /** How long caches may keep a copy, in seconds. Default 3 600. */
  maxAgeSeconds?: number;
  /** Up to 32 pairs, 2 000 bytes together; names of letters, digits and `-`. */
  metadata?: Readonly<Record<string, string>>;
}

export interface ListCallOptions extends StorageCallOptions {
  /** Default 100, at most 1 000. */
  limit?: number;
  cursor?: string;
}

export interface Stored {
  readonly path: string;
  /**
   * `primary`: the first backend has it. `queued`: it is durable in the journal and will be sent. `local`: the
   * same, but no backend takes writes at this moment, so that only this machine can read it.
   */
  readonly stored: 'primary' | 'queued' | 'local';
  /** True while the primary does not have it. */
  readonly fallback: boolean;
  readonly operationId: string;
}

export interface ObjectInfo {
  readonly path: string;
  /** The source: `pending`, `local`, or a backend's name. */
  readonly from: string;
  readonly size: number;
  readonly contentType?: string;
  readonly lastModifiedEpochMs?: number;
  /** Distinguishes this content from any other of the key at that backend. */
  readonly version?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Download {
  readonly path: string;
  /** The source: `pending`, `local`, or a backend's name. */
  readonly from: string;
  readonly size: number;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Can be read once. Throws BodyIntegrityError when it ends early or is not what was stored. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Reads the whole body, instead of `body`. */
  bytes(): Promise<Uint8Array>;
}

export interface Listing {
  readonly objects: readonly ListedObject[];
  readonly cursor?: string;
  /** The backend that listed them. */
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
  /** The failure of a backend that refuses it permanently. */
  readonly refused?: StorageFailure;
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
  /** Writes that the backend already had, so that they were not sent again. */
  readonly alreadyApplied: number;
  /** Writes superseded by a later one of their key before they were sent. */
  readonly superseded: number;
  /** The number of failed calls by kind. */
  readonly failures: Readonly<Record<StorageFailure['kind'], number>>;
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

/** The events of `on()` and of the channels `holdfast:storage:<kind>`. Times are the clock's `now()`. */
export interface StorageEvents {
  /** The state of a backend changed; `error` is the reason why it is not `up`. */
  backend: {
    backend: string;
    from: BackendHealth;
    to: BackendHealth;
    error?: string;
    atMs: number;
  };
  /** A backend has a write, or a conflict over it is decided. */
  settled: { backend: string; path: string; operationId: string; waitedMs: number; atMs: number };
  /** A backend has everything that waited for it. */
  drained: { backend: string; writes: number; atMs: number };
  /** Another writer wrote the key meanwhile. */
  conflict: {
    backend: string;
    path: string;
    operationId: string;
    resolution: ConflictResolution;
    atMs: number;
  };
  /** A backend will never take this write; it stays pending until it is discarded or superseded. */
  refused: { backend: string; path: string; operationId: string; error: string; atMs: number };
  /** A late write had undone its successor, which is written again. */
  'late-write': { backend: string; path: string; operationId: string; atMs: number };
  /** A backend had damaged bytes; good ones are written back. */
  repair: { backend: string; path: string; atMs: number };
}

/** The resolution of a conflict: `keep-both` keeps theirs under the key and ours under another key. */
export type ConflictResolution = 'ours' | 'theirs' | 'keep-both' | 'refuse';

export interface Conflict {
  readonly backend: string;
  readonly path: string;
  readonly operationId: string;
  readonly kind: 'put' | 'remove';
  /** Measured by this machine's wall clock. */
  readonly acceptedAtEpochMs: number;
  /** The age of our write. */
  readonly ageMs: number;
  readonly theirs: {
    readonly version?: string;
    /** Measured by the server's clock. */
    readonly lastModifiedEpochMs?: number;
    /** The age of their write, to a second, measured by the server's clock alone if it is known. */
    readonly ageMs?: number;
    readonly size: number;
  };
}
