import type { EventKinds, Subscribe } from '@holdfast/foundation';
import type { StorageFailure, ListedObject, ObjectDetails } from './backend.ts';
import type { Body } from './object/body.ts';

/**
 * Object storage that accepts writes during an outage of all its servers.
 *
 * Its promises:
 * - **Loss**: an upload that resolved is on a backend or durable in the journal of this machine, until every
 *   backend has it or a later write of the same key supersedes it.
 * - **Order**: `upload`, `remove`, `copy` and `move` take effect on a key in the order in which they were called. Each
 *   backend receives its writes in that order, only the latest of those that wait; a removal is a write. A write that a server applies late does not outlive its successor.
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
   * @throws ObjectNotFoundError, StorageDeniedError, StorageUnavailableError, InvalidKeyError, StorageClosedError,
   *   the signal's own reason
   */
  download(path: string, options?: StorageCallOptions): Promise<Download>;
  /** Accepts a removal durably, as `upload` accepts an object. */
  remove(path: string, options?: WriteOptions): Promise<Stored>;
  /**
   * Accepts the object under another key too; its bytes pass through this process.
   * @throws the errors of `download` and `upload`
   */
  copy(path: string, toPath: string, options?: CopyOptions): Promise<Stored>;
  /**
   * Accepts the object under another key too, then its removal from this one, unless a write of it was accepted
   * meanwhile by this process: that one stays. Onto itself it changes nothing. After an abort between the two, both
   * keys have the object.
   * @throws MoveUnfinishedError when the object is stored under the other key and could not be removed from this one;
   *   the errors of `download` and `upload`
   */
  move(path: string, toPath: string, options?: MoveOptions): Promise<void>;
  /** Keys that begin with `prefix`, with pending writes applied. */
  list(prefix: string, options?: ListCallOptions): Promise<Listing>;
  exists(path: string, options?: StorageCallOptions): Promise<boolean>;
  /**
   * Describes an object without reading its bytes, from the source that `download` would use.
   * @throws the errors of `download`
   */
  info(path: string, options?: StorageCallOptions): Promise<ObjectInfo>;
  /**
   * The pending writes, oldest first: those that a backend lacks, and those that are read back from a backend once
   * more, because an earlier write may still be applied late (after at most `lateWriteMs`). `health()`, `getStats()`,
   * the metrics and `flush` count the same writes.
   */
  pending(): PendingWrite[];
  /** Drops a write that a backend refuses permanently; false when there is none of that id. */
  discard(operationId: string): Promise<boolean>;
  /**
   * Waits until no write is pending, or only those that a backend refuses, for at most `deadlineMs`, default 10 000.
   * @returns the number of writes that are still pending.
   * @throws InvalidOptionError, the signal's own reason
   */
  flush(options?: { deadlineMs?: number; signal?: AbortSignal }): Promise<number>;
  getStats(): StorageStats;
  health(): StorageHealth;
  /** Stops sending and closes the journal, which keeps the pending writes. Every call returns the same promise. */
  close(options?: { deadlineMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options that every call has. */
export interface StorageCallOptions {
  /** Stops waiting, with the signal's reason; an accepted write stays accepted. */
  signal?: AbortSignal;
}

/** Options of a write. */
export interface WriteOptions extends StorageCallOptions {
  /** How long to wait for the primary, in milliseconds. Default: the storage's `acknowledgeWithinMs`. */
  acknowledgeWithinMs?: number;
}

/** Options of `upload`. */
export interface UploadOptions extends WriteOptions {
  /** Default `application/octet-stream`. */
  contentType?: string;
  /** How long caches may keep a copy, in seconds. Default 3 600. */
  maxAgeSeconds?: number;
  /** Up to 32 pairs, 2 000 bytes together; names of letters, digits and `-`. */
  metadata?: Readonly<Record<string, string>>;
}

/** Options of `move`. */
export interface MoveOptions extends WriteOptions {
  /** The storage of `toPath`. Default: this one. */
  target?: Storage;
}

/** Options of `copy`. */
export interface CopyOptions extends MoveOptions {
  /** Default: that of the source; so are the other two. */
  contentType?: string;
  /** How long caches may keep the copy, in seconds. Default: that of the source. */
  maxAgeSeconds?: number;
  /** The metadata of the copy. Default: that of the source. */
  metadata?: Readonly<Record<string, string>>;
}

/** Options of `list`. */
export interface ListCallOptions extends StorageCallOptions {
  /** Default 100, at most 1 000. */
  limit?: number;
  /** The `cursor` of the page before. Default: from the first object. */
  cursor?: string;
}

/** What a write resolves with: it is accepted, and how safe it is now. */
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

/** What is known of an object, and from where. */
export interface ObjectInfo extends ObjectDetails {
  readonly path: string;
  /** The source: `pending`, `local`, or a backend's name. */
  readonly from: string;
  readonly size: number;
  /** Distinguishes this content from any other of the key at that backend. */
  readonly version?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** An object and its bytes, and from where. */
export interface Download {
  readonly path: string;
  /** The source: `pending`, `local`, or a backend's name. */
  readonly from: string;
  readonly size: number;
  readonly contentType: string;
  /** The header, such as `max-age=3600`, where the source tells it. */
  readonly cacheControl?: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Can be read once. Throws BodyIntegrityError when it ends early or is not what was stored. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Reads the whole body, instead of `body`. */
  bytes(): Promise<Uint8Array>;
}

/** A page of a listing. */
export interface Listing {
  readonly objects: readonly ListedObject[];
  readonly cursor?: string;
  /** The backend that listed them. */
  readonly from: string;
}

/** An accepted write that a backend has not got yet. */
export interface PendingWrite {
  readonly path: string;
  readonly kind: 'put' | 'remove';
  readonly operationId: string;
  readonly bytes: number;
  readonly acceptedAtEpochMs: number;
  /** The backends that do not have it yet. */
  readonly waitingFor: readonly string[];
  /** The backends that have it, where it is read back once an earlier write cannot be applied late any more. */
  readonly verifying: readonly string[];
  /** The failure of a backend that refuses it permanently. */
  readonly refused?: StorageFailure;
  /** The failure of a backend that denies it, which is asked again in `deniedProbeMs`. */
  readonly denied?: StorageFailure;
}

/**
 * `up`: it takes writes. `recovering`: it is tried again. `down`: it does not answer. `denied`: it refuses the rights.
 */
export type BackendHealth = 'up' | 'recovering' | 'down' | 'denied';

/** What an operator has to know of a storage, computed when it is asked for. */
export interface StorageHealth {
  /**
   * `healthy`: every backend took writes, or answered, when that was known last. `degraded`: writes wait, a backend
   * does not answer, or the journal is not open yet. `critical`: no backend can be reached, or the journal accepts no
   * write, as after `close`.
   */
  readonly level: 'healthy' | 'degraded' | 'critical';
  readonly backends: Readonly<
    Record<
      string,
      {
        state: BackendHealth;
        lastError?: string;
        /**
         * How long ago it answered last, in milliseconds; absent before its first answer. Nobody asks an idle backend:
         * when this is more than 10 000, `health()` lets one request be sent, whose result the next call shows, 5 s
         * later at most.
         */
        answeredMsAgo?: number;
      }
    >
  >;
  /** The number of the writes that `pending()` returns. */
  readonly pendingWrites: number;
  /** The age of the oldest of them. */
  readonly oldestPendingMs?: number;
  /** Why the journal accepts no write at the moment: its disk hangs or is read-only, it is locked, gone or closed. */
  readonly journalFailure?: { readonly code: string; readonly message: string };
}

/** Numbers of one backend. */
export interface BackendStats {
  readonly state: BackendHealth;
  /** Keys whose next request to it has not been sent. */
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

/** Numbers of a storage: what it holds now, and what it has counted since its start. */
export interface StorageStats {
  readonly accepted: number;
  readonly acceptedBytes: number;
  /** The number of the writes that `pending()` returns. */
  readonly pendingWrites: number;
  /** The bytes of their bodies. */
  readonly pendingBytes: number;
  /** The bytes of all bodies that the journal keeps, superseded ones too; `journal.maxBytes` is their limit. */
  readonly journalBytes: number;
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
  /** A backend has everything that was pending for it; `writes` were settled since the event before. */
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

export const storageEventKinds: EventKinds<StorageEvents> = {
  backend: true,
  settled: true,
  drained: true,
  conflict: true,
  refused: true,
  'late-write': true,
  repair: true,
};

/** The resolution of a conflict: `keep-both` keeps theirs under the key and ours under another key. */
export type ConflictResolution = 'ours' | 'theirs' | 'keep-both' | 'refuse';

/** A waiting write and the newer object that a backend has in its place. */
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
    /**
     * The object is absent, and may have been removed under this journal's identity by a copy of its directory; its
     * size is 0.
     */
    readonly removed?: true;
    /** Measured by the server's clock. */
    readonly lastModifiedEpochMs?: number;
    /** The age of their write, to a second, measured by the server's clock alone if it is known. */
    readonly ageMs?: number;
    readonly size: number;
  };
}
