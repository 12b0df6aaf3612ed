import type { FileHandle } from 'node:fs/promises';
import type { NetConnectOpts, Socket } from 'node:net';
import type { Clock, Subscribe, EventKinds } from '@holdfast/foundation';
import type { ResourceBudget } from '../budget/budget.ts';

/** Options of `createDescriptorPool`. All times in milliseconds. */
export interface DescriptorPoolOptions {
  /** Where its descriptors are counted. Default: a budget of its own. */
  budget?: ResourceBudget;
  /**
   * How many it may have open, with a budget of its own. Default: the soft limit of the process, without what was open
   * at the start and without 16 for others.
   */
  maxOpen?: number;
  /** How long a call waits for a descriptor, in milliseconds. Default 5 000. */
  timeoutMs?: number;
  /** How many calls wait; further ones are refused. Default 1 000. */
  maxWaiting?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** Options of one descriptor. */
export interface DescriptorOptions {
  /** An abort ends the wait and the opening, with the signal's own reason. */
  signal?: AbortSignal;
  /** How long to wait for a descriptor. Default: the pool's own. */
  timeoutMs?: number;
}

/** Options of a file that is opened. */
export interface OpenFileOptions extends DescriptorOptions {
  /** As of `fs.open`. Default `r`. */
  flags?: string;
  /** Of a file that is created. Default 0o666. */
  mode?: number;
  /**
   * Keeps the handle open for later calls, which share it: to be read by position, and only with the flags `r`. A file
   * that was replaced meanwhile is opened anew. Default false.
   */
  keep?: boolean;
}

/** How something that takes a descriptor is opened and closed. */
export interface DescriptorSource<T> {
  /** With a key, all leases share one handle, which stays open when it is idle. Default: closed at its release. */
  readonly key?: string;
  open(signal: AbortSignal | undefined): T | PromiseLike<T>;
  close(handle: T): unknown;
  /** Whether an idle handle is still what the key names. Default: always. */
  isCurrent?(handle: T): boolean | PromiseLike<boolean>;
}

/** A handle in use; it is never closed before its release. */
export interface DescriptorLease<T> {
  readonly handle: T;
  /** Settles when the handle is closed, or idle; calling it again does nothing more. */
  release(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The events of a descriptor pool, by name. */
export interface DescriptorPoolEvents {
  /** The system had no descriptor although the budget had: the call waits and tries again. */
  exhausted: { readonly inUse: number; readonly idle: number; readonly cause: unknown };
  /** An idle handle was closed to make room. */
  evicted: { readonly key: string };
}

export const descriptorPoolEventKinds: EventKinds<DescriptorPoolEvents> = {
  exhausted: true,
  evicted: true,
};

/** What a descriptor pool has open and has refused, read at any time. */
export interface DescriptorPoolStats {
  readonly inUse: number;
  readonly idle: number;
  /** Of the budget. */
  readonly limit: number;
  /** Calls that wait for the budget or for the system. */
  readonly waiting: number;
  /** Since the start: how often the system had none, and how many idle handles made room. */
  readonly exhausted: number;
  readonly evicted: number;
}

/**
 * Files and sockets within the limit of the process. Idle handles make room, the least recently used first; a handle in
 * use is never closed. A call waits in order for the budget, and for the system when it has no descriptor (EMFILE).
 */
export interface DescriptorPool {
  readonly on: Subscribe<DescriptorPoolEvents>;
  /** @throws DescriptorsExhaustedError, NetworkClosedError, the signal's own reason, or what `open` throws */
  acquire<T>(source: DescriptorSource<T>, options?: DescriptorOptions): Promise<DescriptorLease<T>>;
  /** @throws InvalidOptionError, as `acquire`, or the error of the file system */
  openFile(path: string, options?: OpenFileOptions): Promise<DescriptorLease<FileHandle>>;
  /** A connected socket; its lease ends with it. @throws as `acquire`, or the error of the socket */
  connect(target: NetConnectOpts, options?: DescriptorOptions): Promise<DescriptorLease<Socket>>;
  getStats(): DescriptorPoolStats;
  /** Refuses further calls and closes idle handles, later each one at its release. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
