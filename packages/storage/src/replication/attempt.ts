import type { Clock, Emitter } from '@holdfast/foundation';
import {
  type StorageFailure,
  type BackendResult,
  type BodySource,
  type PutOptions,
  type PutReceipt,
  type UploadProgress,
  type PutCondition,
  fail,
  toResult,
} from '../backend.ts';
import {
  type ConflictPolicyOption,
  type RemoteObject,
  conflictOf,
  resolutionOf,
} from '../conflicts.ts';
import type { WriterLives } from '../journal/lives.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import type { Operation } from '../journal/operation.ts';
import type { StorageEvents } from '../storage.ts';
import type { KeyReplica } from './key-replica.ts';
import type { RemovalMarks } from './removal-marks.ts';

export type AttemptResult =
  /** The backend has the operation. `found`: it had it before this attempt. */
  | { readonly kind: 'settled'; readonly found: boolean }
  /** Another writer's object stays. */
  | { readonly kind: 'conflict-lost'; readonly keepCopy: boolean }
  /** An earlier write may still be applied until `untilMs`. */
  | { readonly kind: 'deferred'; readonly untilMs: number }
  | { readonly kind: 'failed' | 'refused'; readonly failure: StorageFailure }
  /** `isAlone`: other keys are not denied. */
  | { readonly kind: 'denied'; readonly failure: StorageFailure; readonly isAlone: boolean };

export interface AttemptDeps {
  readonly log: OperationLog;
  readonly clock: Clock;
  readonly emitter: Emitter<StorageEvents>;
  readonly signal: AbortSignal;
  /** Tells our own operations from those of others. */
  readonly lives: WriterLives;
  readonly marks: RemovalMarks;
  readonly lateWriteMs: number;
  readonly conflicts: ConflictPolicyOption;
  /** Called before it is told that another writer's object, or none, is in the place of ours. Never rejects. */
  readonly onSuperseded: (key: string, backend: string) => Promise<void>;
}

/**
 * A delayed write of more bytes is preceded by a read; for a smaller one of this life, sending it is the cheaper check.
 */
const READ_FIRST_BYTES = 65_536;

/** Sends at most one write to the backend, with the mark and the reads that make it safe. Never rejects. */
export async function attempt(
  replica: KeyReplica,
  operation: Operation,
  deps: AttemptDeps,
): Promise<AttemptResult> {
  if (operation.kind === 'put') return attemptOnce(replica, operation, deps);
  const { backend } = replica.writer;
  const { marks, signal } = deps;
  const marked = await marks.mark(backend, operation, signal);
  if (typeof marked === 'object') return failureOf(marked);
  const result = await attemptOnce(replica, operation, deps);
  if (marked === undefined || result.kind !== 'settled') return result;
  // The mark was refused, the removal was not: it is marked now, or this backend takes no mark.
  const late = await marks.mark(backend, operation, signal);
  if (typeof late === 'object') return failureOf(late);
  if (late === 'refused') marks.refused(backend);
  return result;
}

async function attemptOnce(
  replica: KeyReplica,
  operation: Operation,
  deps: AttemptDeps,
): Promise<AttemptResult> {
  if (replica.progress !== undefined && replica.progress.generation !== operation.generation) {
    await abandonUpload(replica, deps.signal);
  }
  let remote: RemoteObject | undefined;
  const readsFirst =
    operation.kind === 'remove' ||
    operation.size > READ_FIRST_BYTES ||
    !deps.lives.isOfThisLife(operation);
  if (replica.isInDoubt || (replica.isDelayed && readsFirst)) {
    const read = await readRemote(replica, operation, deps);
    // Who must not look may still write.
    if ('remote' in read) ({ remote } = read);
    else if (read.end.kind !== 'denied' || read.end.failure.code === 'NoSuchBucket')
      return read.end;
  }
  const untilMs = replica.inDoubtWrites.blockedUntil(operation.generation, deps.clock.now());
  if (untilMs !== undefined) return { kind: 'deferred', untilMs };
  if (operation.kind === 'remove' && remote !== undefined && remote.head === undefined) {
    return { kind: 'settled', found: true };
  }

  if (remote !== undefined && replica.isDelayed) {
    const lost = await resolveConflict(replica, operation, remote, deps);
    if (lost !== undefined) return lost;
  }
  const sent = await send(replica, operation, conditionFor(replica, remote), deps);
  if (sent.kind !== 'conflict') return finish(replica, operation, sent, deps);

  const read = await readRemote(replica, operation, deps);
  if ('end' in read) return read.end.kind === 'denied' ? { ...read.end, isAlone: true } : read.end;
  const lost = await resolveConflict(replica, operation, read.remote, deps);
  if (lost !== undefined) return lost;
  const resent = await send(replica, operation, conditionFor(replica, read.remote), deps);
  if (resent.kind !== 'conflict') return finish(replica, operation, resent, deps);
  const { right } = resent;
  if (right !== undefined && read.remote.head === undefined) {
    const seen = `another object is in its place and cannot be read: it takes ${right}`;
    return { kind: 'denied', failure: fail('denied', seen, { right }), isAlone: true };
  }
  // Another writer at this moment: the next attempt reads anew.
  return { kind: 'failed', failure: fail('transient', `again ${resent.message}`) };
}

/**
 * Releases what an unfinished large upload holds at the backend. If that fails, the backend expires it one
 * day; the write that is due does not wait for it.
 */
export async function abandonUpload(replica: KeyReplica, signal: AbortSignal): Promise<void> {
  const { key, progress, writer } = replica;
  const { backend } = writer;
  if (progress === undefined || backend.abandon === undefined) return;
  const abandon = backend.abandon.bind(backend, key, progress.state, { signal });
  const { kind } = await toResult('write', abandon);
  if (kind === 'ok') replica.progress = undefined;
}

async function readRemote(
  replica: KeyReplica,
  operation: Operation,
  { signal, lives, marks }: AttemptDeps,
): Promise<{ end: AttemptResult } | { remote: RemoteObject }> {
  const { backend, counts } = replica.writer;
  counts.heads += 1;
  const result = await toResult('read', () => backend.head(operation.key, { signal }));
  if (result.kind === 'notFound' && result.code !== 'NoSuchBucket') {
    replica.isInDoubt = false;
    if (operation.kind === 'remove' || lives.isOfThisLife(operation)) {
      return { remote: { head: undefined } };
    }
    // Not delivered yet, or removed since by another life of a copy of this directory.
    const passed = await marks.isPassed(backend, operation, signal);
    return passed.kind === 'known'
      ? { remote: { head: undefined, isRemovedElsewhere: passed.isPassed } }
      : { end: failureOf(passed) };
  }
  if (result.kind !== 'ok') return { end: failureOf(result) };
  replica.isInDoubt = false;
  const { stamp } = result.value;
  if (stamp !== undefined && lives.isOwn(stamp)) {
    replica.inDoubtWrites.applied(stamp.generation);
  }
  return stamp?.operationId === operation.id
    ? { end: { kind: 'settled', found: true } }
    : { remote: { head: result.value } };
}

/** Resolves with the result when ours loses; with `undefined` when ours is to be written. */
async function resolveConflict(
  replica: KeyReplica,
  operation: Operation,
  remote: RemoteObject,
  { clock, lives, conflicts, emitter, onSuperseded }: AttemptDeps,
): Promise<AttemptResult | undefined> {
  const backend = replica.writer.backend.name;
  const ageMs = clock.now() - replica.acceptedAtMs;
  const given = { backend, ageMs, epochMs: clock.epochMs(), lives };
  const conflict = conflictOf(operation, remote, given);
  if (conflict === undefined) return undefined;
  const { path, operationId } = conflict;
  const isTheirs = operation.onlyOurs === true && remote.head !== undefined;
  const resolution = isTheirs ? 'theirs' : await resolutionOf(conflicts, conflict);
  if (resolution !== 'ours') await onSuperseded(path, backend);
  emitter.emit('conflict', { backend, path, operationId, resolution, atMs: clock.now() });
  if (resolution === 'ours') return undefined;
  if (resolution === 'refuse') {
    return { kind: 'refused', failure: fail('conflict', 'another writer wrote it meanwhile') };
  }
  const keepCopy = resolution === 'keep-both' && operation.kind === 'put';
  return { kind: 'conflict-lost', keepCopy };
}

/** A fresh write is the latest there is; a delayed one must not overwrite a version it has not seen. */
function conditionFor(replica: KeyReplica, remote: RemoteObject | undefined): PutCondition {
  if (!replica.isDelayed) return 'none';
  if (remote?.head === undefined) return 'absent';
  const { version } = remote.head;
  return version === undefined ? 'none' : { version };
}

async function send(
  replica: KeyReplica,
  operation: Operation,
  condition: PutCondition,
  { log, signal }: AttemptDeps,
): Promise<BackendResult<PutReceipt | undefined>> {
  const { key, id, generation, sha256, contentType, maxAgeSeconds, metadata } = operation;
  const { backend, counts } = replica.writer;
  if (operation.kind === 'remove') {
    counts.removes += 1;
    return toResult('write', () => backend.remove(key, { signal }));
  }
  let body: BodySource;
  try {
    body = await log.body(operation);
  } catch (cause) {
    // A file that cannot be opened at the moment is no damage: the write waits.
    const kind = operation.blob === undefined || log.isDamaged(operation) ? 'invalid' : 'transient';
    return fail(kind, `its bytes cannot be read: ${messageOf(cause)}`, { cause });
  }
  counts.puts += 1;
  counts.putBytes += operation.size;
  const stamp = { operationId: id, generation, sha256 };
  const watched = watchBody(body, signal);
  const attributes = { contentType, maxAgeSeconds, metadata, stamp, condition };
  const options: PutOptions = { ...attributes, signal: watched.signal };
  const isLarge = operation.size > backend.largeFromBytes;
  const sent = await toResult('write', () =>
    backend.put(
      key,
      watched.body,
      isLarge ? { ...options, progress: progressOf(replica, generation, log) } : options,
    ),
  );
  const failure = watched.failure();
  if (sent.kind === 'ok' || failure === undefined) return sent;
  // Whatever the client made of it: the backend did not get the whole body, so it has stored nothing.
  return log.isDamaged(operation)
    ? fail('invalid', 'its bytes are damaged or missing on this disk')
    : fail('transient', `its bytes cannot be read: ${messageOf(failure.cause)}`, failure);
}

interface WatchedBody {
  readonly body: BodySource;
  /** Aborts with the caller's, and when the body cannot be read: not every client listens to its stream. */
  readonly signal: AbortSignal;
  readonly failure: () => { readonly cause: unknown } | undefined;
}

function watchBody(body: BodySource, signal: AbortSignal): WatchedBody {
  if (body.bytes !== undefined) return { body, signal, failure: () => undefined };
  let failure: { cause: unknown } | undefined;
  const unreadable = new AbortController();
  const watched: BodySource = {
    size: body.size,
    async *open(...range) {
      try {
        yield* body.open(...range);
      } catch (cause) {
        failure ??= { cause };
        unreadable.abort(cause);
        throw cause;
      }
    },
  };
  return {
    body: watched,
    signal: AbortSignal.any([signal, unreadable.signal]),
    failure: () => failure,
  };
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function progressOf(replica: KeyReplica, generation: number, log: OperationLog): UploadProgress {
  return {
    saved: replica.progress?.generation === generation ? replica.progress.state : undefined,
    async save(state) {
      replica.progress = { generation, state };
      const backend = replica.writer.backend.name;
      await log.keepProgress({ backend, key: replica.key, generation, state });
    },
  };
}

function finish(
  replica: KeyReplica,
  { generation, kind }: Operation,
  result: BackendResult<unknown>,
  { clock, lateWriteMs }: AttemptDeps,
): AttemptResult {
  if (result.kind === 'ok') {
    replica.inDoubtWrites.resent(generation);
    return { kind: 'settled', found: false };
  }
  if (result.kind === 'unknown') {
    replica.inDoubtWrites.add(generation, clock.now() + lateWriteMs);
    replica.isInDoubt = true;
    replica.isRemovalInDoubt ||= kind === 'remove';
  }
  return failureOf(result);
}

function failureOf(failure: StorageFailure): AttemptResult {
  if (failure.kind === 'invalid') return { kind: 'refused', failure };
  // For a write, `notFound` means a missing bucket: an operator has to create it.
  if (failure.kind === 'denied' || failure.kind === 'notFound') {
    return { kind: 'denied', failure, isAlone: false };
  }
  return { kind: 'failed', failure };
}
