import type { Clock, Emitter } from '@holdfast/foundation';
import {
  type StorageFailure,
  type BackendResult,
  type BodySource,
  type ObjectHead,
  type PutOptions,
  type PutReceipt,
  type UploadProgress,
  type PutCondition,
  fail,
  fromThrown,
  toResult,
} from '../backend.ts';
import { type ConflictPolicyOption, resolutionOf } from '../conflicts.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import type { Operation } from '../journal/operation.ts';
import type { StorageEvents } from '../storage.ts';
import type { KeyReplica } from './key-replica.ts';

export type AttemptResult =
  /** The backend has the operation. `found`: it had it before this attempt. */
  | { readonly kind: 'settled'; readonly found: boolean }
  /** Another writer's object stays. */
  | { readonly kind: 'conflict-lost'; readonly keepCopy: boolean }
  /** An earlier write may still be applied until `untilMs`. */
  | { readonly kind: 'deferred'; readonly untilMs: number }
  | { readonly kind: 'failed' | 'denied' | 'refused'; readonly failure: StorageFailure };

export interface AttemptDeps {
  readonly log: OperationLog;
  readonly clock: Clock;
  readonly emitter: Emitter<StorageEvents>;
  readonly signal: AbortSignal;
  /** The prefix of the ids of our own operations. */
  readonly writerId: string;
  readonly lateWriteMs: number;
  readonly conflicts: ConflictPolicyOption;
}

/** A delayed write of more bytes is preceded by a read; for a smaller one, sending it is the cheaper check. */
const READ_FIRST_BYTES = 65_536;

/** Sends at most one write to the backend, with the reads that make it safe. Never rejects. */
export async function attempt(
  replica: KeyReplica,
  operation: Operation,
  deps: AttemptDeps,
): Promise<AttemptResult> {
  if (replica.progress !== undefined && replica.progress.generation !== operation.generation) {
    await abandonUpload(replica, deps.signal);
  }
  let remote: Remote | undefined;
  const isLarge = operation.kind === 'remove' || operation.size > READ_FIRST_BYTES;
  if (replica.isInDoubt || (replica.isDelayed && isLarge)) {
    const read = await readRemote(replica, operation, deps);
    if ('end' in read) return read.end;
    ({ remote } = read);
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
  if ('end' in read) return read.end;
  const lost = await resolveConflict(replica, operation, read.remote, deps);
  if (lost !== undefined) return lost;
  const resent = await send(replica, operation, conditionFor(replica, read.remote), deps);
  // Another writer at this moment: the next attempt reads anew.
  return resent.kind === 'conflict'
    ? { kind: 'failed', failure: fail('transient', `again ${resent.message}`) }
    : finish(replica, operation, resent, deps);
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

/** The object at the backend; without a head there is none. */
interface Remote {
  readonly head: ObjectHead | undefined;
}

async function readRemote(
  replica: KeyReplica,
  operation: Operation,
  { signal }: AttemptDeps,
): Promise<{ end: AttemptResult } | { remote: Remote }> {
  const { backend, counts } = replica.writer;
  counts.heads += 1;
  const result = await toResult('read', () => backend.head(operation.key, { signal }));
  if (result.kind === 'notFound' && result.code !== 'NoSuchBucket') {
    replica.isInDoubt = false;
    return { remote: { head: undefined } };
  }
  if (result.kind !== 'ok') return { end: failureOf(result) };
  replica.isInDoubt = false;
  const { stamp } = result.value;
  if (stamp !== undefined) replica.inDoubtWrites.applied(stamp.generation);
  return stamp?.operationId === operation.id
    ? { end: { kind: 'settled', found: true } }
    : { remote: { head: result.value } };
}

/** Resolves with the result when ours loses; with `undefined` when ours is to be written. */
async function resolveConflict(
  replica: KeyReplica,
  operation: Operation,
  { head }: Remote,
  { clock, writerId, conflicts, emitter }: AttemptDeps,
): Promise<AttemptResult | undefined> {
  if (head === undefined || head.stamp?.operationId.startsWith(writerId) === true) return undefined;
  const { version, lastModifiedEpochMs, size, servedAtEpochMs = clock.epochMs() } = head;
  const backend = replica.writer.backend.name;
  const { key: path, id: operationId } = operation;
  const resolution = await resolutionOf(conflicts, {
    backend,
    path,
    operationId,
    kind: operation.kind,
    acceptedAtEpochMs: operation.acceptedAtEpochMs,
    ageMs: clock.now() - replica.acceptedAtMs,
    theirs: {
      size,
      ...(version !== undefined && { version }),
      ...(lastModifiedEpochMs !== undefined && {
        lastModifiedEpochMs,
        ageMs: servedAtEpochMs - lastModifiedEpochMs,
      }),
    },
  });
  emitter.emit('conflict', { backend, path, operationId, resolution, atMs: clock.now() });
  if (resolution === 'ours') return undefined;
  if (resolution === 'refuse') {
    return { kind: 'refused', failure: fail('conflict', 'another writer wrote it meanwhile') };
  }
  const keepCopy = resolution === 'keep-both' && operation.kind === 'put';
  return { kind: 'conflict-lost', keepCopy };
}

/** A fresh write is the latest there is; a delayed one must not overwrite a version it has not seen. */
function conditionFor(replica: KeyReplica, remote: Remote | undefined): PutCondition {
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
    body = await log.bodyToSend(operation);
  } catch (cause) {
    return fail('invalid', 'its bytes can no longer be read', { cause });
  }
  counts.puts += 1;
  counts.putBytes += operation.size;
  const stamp = { operationId: id, generation, sha256 };
  const options: PutOptions = { contentType, maxAgeSeconds, metadata, stamp, condition, signal };
  const isLarge = operation.size > backend.largeFromBytes;
  try {
    return await backend.put(
      key,
      body,
      isLarge ? { ...options, progress: progressOf(replica, generation, log) } : options,
    );
  } catch (cause) {
    return fromThrown('write', cause);
  }
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
  if (failure.kind === 'denied' || failure.kind === 'notFound') return { kind: 'denied', failure };
  return { kind: 'failed', failure };
}
