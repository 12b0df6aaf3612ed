import type { EventKinds } from '@holdfast/foundation';
import type { ErrorClass } from '../backend.ts';
import type { OperationOutcome } from '../control/control.ts';
import type { OperationKind } from '../control/operation.ts';
import type { Acceptor } from './accepted.ts';
import type { QueueState } from './queue-state.ts';

/** The events of `on()` and of the channels `holdfast:queue:<kind>`. Times are the clock's `now()`. */
export interface QueueEvents {
  state: {
    from: QueueState['kind'];
    to: QueueState['kind'];
    errorClass?: ErrorClass;
    atMs: number;
  };
  /** A connection attempt failed; the next one follows after `delayMs`. */
  reconnecting: {
    attempt: number;
    delayMs: number;
    errorClass: ErrorClass;
    error: string;
    atMs: number;
  };
  connected: { attempt: number; atMs: number };
  /**
   * Redis may evict keys when its memory is full (`maxmemory-policy` is not `noeviction`). With `volatile-*`, ids that
   * callers chose may be forgotten early; with `allkeys-*`, jobs may be lost or handled twice.
   */
  'eviction-possible': { policy: string; atMs: number };
  disconnected: { errorClass: ErrorClass; error: string; atMs: number };
  /** Jobs in flight to Redis failed, and go to the fallback. */
  spilled: { topic: string; jobs: number; atMs: number };
  /** Accepted jobs were dropped to make room for newer ones. */
  shed: { jobs: number; atMs: number };
  /** The directory of the journal is gone, with jobs that Redis has not accepted; `jobs` of them are in no memory. */
  'fallback-lost': { jobs: number; code: string; error: string; atMs: number };
  /** The fallback is empty again. */
  drained: { jobs: number; tookMs: number; atMs: number };
  /**
   * Redis came back without sequence numbers it had acknowledged. Retained jobs are sent again; the others are lost,
   * unless they were handled.
   */
  'server-lost-jobs': { topic: string; jobs: number; resent: number; atMs: number };
  /**
   * Redis knew another owner of the journal's identity, so the directory is a copy: restored, or cloned to several
   * machines. This process goes on under a new identity; no job is lost or added twice.
   */
  'identity-renewed': { former: string; identity: string; atMs: number };
  /** A handler has taken `timeoutMs`: its signal is aborted. The job goes on here until the handler ends. */
  'timed-out': { topic: string; id: string; attempt: number; timeoutMs: number; atMs: number };
  /** The attempts of a job are used up. `deadLetters(topic)` lists it as soon as the store has confirmed it. */
  'dead-lettered': { topic: string; id: string; attempts: number; reason: string; atMs: number };
  /**
   * Redis rejects one job individually. `kept`: the fallback had accepted it, and `poisonJobs(topic)` lists it;
   * otherwise its `enqueue` was rejected.
   */
  poisoned: { topic: string; id: string; reason: string; kept: boolean; atMs: number };
  /** The job was delivered again after it was handled; it did not run again. */
  redelivered: { topic: string; id: string; atMs: number };
  /** A job was taken over from a dead consumer, or its lost delivery was repeated. */
  recovered: { topic: string; id: string; attempt: number; atMs: number };
  /** A job was older than its `expiresInMs` when it would have been started, and was dropped. */
  expired: { topic: string; id: string; enqueuedAtMs: number; expiresInMs: number; atMs: number };
  /** A schedule has enqueued the job of a tick; `duplicate`: another process had done so before. */
  ticked: {
    name: string;
    topic: string;
    tickMs: number;
    id: string;
    accepted: Acceptor;
    duplicate?: true;
    atMs: number;
  };
  /** Neither Redis nor the fallback has accepted the job of a tick: it is tried again, until it is missed. */
  'tick-refused': { name: string; topic: string; tickMs: number; error: string; atMs: number };
  /** No process had issued these ticks in time; `issued` of them were made up for. At most 1 000 are counted. */
  'ticks-missed': { name: string; topic: string; missed: number; issued: number; atMs: number };
  /** Redis refuses what a consumer needs: it handles nothing until `consumer-resumed`. */
  'consumer-stalled': { topic: string; errorClass: ErrorClass; error: string; atMs: number };
  'consumer-resumed': { topic: string; atMs: number };
  /**
   * Redis has applied an operation of this queue. `outcome` is `unknown` when it had applied it before, and the reply
   * was lost that told what became of it.
   */
  'operation-applied': {
    topic: string;
    operation: OperationKind;
    operationId: string;
    /** The job that it concerns. */
    jobId?: string;
    outcome: OperationOutcome | 'unknown';
    atMs: number;
  };
}

export const queueEventKinds: EventKinds<QueueEvents> = {
  state: true,
  reconnecting: true,
  connected: true,
  'eviction-possible': true,
  disconnected: true,
  spilled: true,
  shed: true,
  'fallback-lost': true,
  drained: true,
  'server-lost-jobs': true,
  'identity-renewed': true,
  'timed-out': true,
  'dead-lettered': true,
  poisoned: true,
  redelivered: true,
  recovered: true,
  expired: true,
  ticked: true,
  'tick-refused': true,
  'ticks-missed': true,
  'consumer-stalled': true,
  'consumer-resumed': true,
  'operation-applied': true,
};
