import type { Clock } from '@holdfast/foundation';
import {
  type BackendFailure,
  type BackendResult,
  type BodySource,
  type WriteCondition,
  type ObjectHead,
  type PutOptions,
  type PutReceipt,
  type StorageBackend,
  type UploadProgress,
  toResult,
  fail,
  fromThrown,
} from '../backend.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import type { Operation } from '../journal/operation.ts';
import type { Conflict, ConflictResolution } from '../storage.ts';
import type { KeyReplica } from './key-replica.ts';

/** How a turn of a lane ended. */
export type AttemptResult =
  /** The backend has it. `found`: it had it already. */
  | { readonly kind: 'settled'; readonly found: boolean }
  /** Somebody else's write stands. */
  | { readonly kind: 'yielded'; readonly beside: boolean }
  /** Not before `untilMs`: an earlier write may still be applied. */
  | { readonly kind: 'held-back'; readonly untilMs: number }
  | { readonly kind: 'failed' | 'denied' | 'refused'; readonly failure: BackendFailure };

export interface AttemptDeps {
  readonly backend: StorageBackend;
  readonly log: OperationLog;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** What the ids of our own operations begin with. */
  readonly writer: string;
  readonly lateWriteMs: number;
  readonly count: (what: 'puts' | 'removes' | 'heads', bytes: number) => void;
  readonly resolve: (conflict: Conflict) => Promise<ConflictResolution>;
}

/** Above this many bytes a delayed write looks before it sends them; below, sending is the look. */
const LOOK_FIRST_BYTES = 65_536;

/** One turn: at most one write to the backend, and the looks that make it a safe one. Never rejects. */
export async function attempt(
  lane: KeyReplica,
  operation: Operation,
  parts: AttemptDeps,
): Promise<AttemptResult> {
  if (lane.progress !== undefined && lane.progress.generation !== operation.generation) {
    await abandonUpload(lane, parts);
  }
  let seen: Seen | undefined;
  const isLarge = operation.kind === 'remove' || operation.size > LOOK_FIRST_BYTES;
  if (lane.isInDoubt || (lane.isDelayed && isLarge)) {
    const looked = await readRemote(lane, operation, parts);
    if ('end' in looked) return looked.end;
    seen = looked.seen;
  }
  const hazardMs = lane.inDoubtWrites.blockedUntil(operation.generation, parts.clock.now());
  if (hazardMs !== undefined) return { kind: 'held-back', untilMs: hazardMs };
  if (operation.kind === 'remove' && seen !== undefined && seen.head === undefined) {
    return { kind: 'settled', found: true };
  }

  if (seen !== undefined && lane.isDelayed) {
    const verdict = await resolveConflict(lane, operation, seen, parts);
    if (verdict !== undefined) return verdict;
  }
  const sent = await send(lane, operation, conditionFor(lane, seen), parts);
  if (sent.kind !== 'conflict') return ended(lane, operation, sent, parts);

  const looked = await readRemote(lane, operation, parts);
  if ('end' in looked) return looked.end;
  const verdict = await resolveConflict(lane, operation, looked.seen, parts);
  if (verdict !== undefined) return verdict;
  const again = await send(lane, operation, conditionFor(lane, looked.seen), parts);
  // Two writers at once: the next turn looks anew.
  return again.kind === 'conflict'
    ? { kind: 'failed', failure: fail('transient', `again ${again.message}`) }
    : ended(lane, operation, again, parts);
}

/**
 * Gives back what a large upload that nobody will finish holds at the backend. Where that fails the backend
 * itself ends it one day; the write that is due does not wait for it.
 */
export async function abandonUpload(
  lane: KeyReplica,
  { backend, signal }: Pick<AttemptDeps, 'backend' | 'signal'>,
): Promise<void> {
  const { key, progress } = lane;
  if (progress === undefined || backend.abandon === undefined) return;
  const abandon = backend.abandon.bind(backend, key, progress.state, { signal });
  const { kind } = await toResult('write', abandon);
  if (kind === 'ok') lane.progress = undefined;
}

/** What stands there, or that nothing does. */
interface Seen {
  readonly head: ObjectHead | undefined;
}

async function readRemote(
  lane: KeyReplica,
  operation: Operation,
  { backend, signal, count }: AttemptDeps,
): Promise<{ end: AttemptResult } | { seen: Seen }> {
  count('heads', 0);
  const result = await toResult('read', () => backend.head(operation.key, { signal }));
  if (result.kind === 'notFound' && result.code !== 'NoSuchBucket') {
    lane.isInDoubt = false;
    return { seen: { head: undefined } };
  }
  if (result.kind !== 'ok') return { end: failureOf(result) };
  lane.isInDoubt = false;
  const { stamp } = result.value;
  if (stamp !== undefined) lane.inDoubtWrites.applied(stamp.generation);
  return stamp?.operationId === operation.id
    ? { end: { kind: 'settled', found: true } }
    : { seen: { head: result.value } };
}

/** What is to become of two writes; `undefined`: ours goes on. */
async function resolveConflict(
  lane: KeyReplica,
  operation: Operation,
  { head }: Seen,
  { backend, clock, writer, resolve }: AttemptDeps,
): Promise<AttemptResult | undefined> {
  if (head === undefined || head.stamp?.operationId.startsWith(writer) === true) return undefined;
  const { version, lastModifiedEpochMs, size, servedAtEpochMs = clock.epochMs() } = head;
  const resolution = await resolve({
    backend: backend.name,
    path: operation.key,
    operationId: operation.id,
    kind: operation.kind,
    acceptedAtEpochMs: operation.acceptedAtEpochMs,
    ageMs: clock.now() - lane.acceptedAtMs,
    theirs: {
      size,
      ...(version !== undefined && { version }),
      ...(lastModifiedEpochMs !== undefined && {
        lastModifiedEpochMs,
        ageMs: servedAtEpochMs - lastModifiedEpochMs,
      }),
    },
  });
  if (resolution === 'ours') return undefined;
  if (resolution === 'refuse') {
    return { kind: 'refused', failure: fail('conflict', 'somebody else wrote it meanwhile') };
  }
  return { kind: 'yielded', beside: resolution === 'keep-both' && operation.kind === 'put' };
}

/** A fresh write is the latest there is; a delayed one must not overwrite what it does not know. */
function conditionFor(lane: KeyReplica, seen: Seen | undefined): WriteCondition {
  if (!lane.isDelayed) return 'none';
  if (seen?.head === undefined) return 'absent';
  const { version } = seen.head;
  return version === undefined ? 'none' : { version };
}

async function send(
  lane: KeyReplica,
  operation: Operation,
  condition: WriteCondition,
  { backend, log, signal, count }: AttemptDeps,
): Promise<BackendResult<PutReceipt | undefined>> {
  const { key, id, generation, sha256, contentType, maxAgeSeconds, metadata } = operation;
  if (operation.kind === 'remove') {
    count('removes', 0);
    return toResult('write', () => backend.remove(key, { signal }));
  }
  let body: BodySource;
  try {
    body = await log.bodyToSend(operation);
  } catch (cause) {
    return fail('invalid', 'its bytes cannot be read any more', { cause });
  }
  count('puts', operation.size);
  const stamp = { operationId: id, generation, sha256 };
  const options: PutOptions = { contentType, maxAgeSeconds, metadata, stamp, condition, signal };
  const isLarge = operation.size > backend.largeFromBytes;
  try {
    return await backend.put(
      key,
      body,
      isLarge ? { ...options, progress: progressOf(lane, generation, backend, log) } : options,
    );
  } catch (cause) {
    return fromThrown('write', cause);
  }
}

function progressOf(
  lane: KeyReplica,
  generation: number,
  backend: StorageBackend,
  log: OperationLog,
): UploadProgress {
  return {
    saved: lane.progress?.generation === generation ? lane.progress.state : undefined,
    async save(state) {
      lane.progress = { generation, state };
      await log.keepProgress({ backend: backend.name, key: lane.key, generation, state });
    },
  };
}

function ended(
  lane: KeyReplica,
  { generation, kind }: Operation,
  result: BackendResult<unknown>,
  { clock, lateWriteMs }: AttemptDeps,
): AttemptResult {
  if (result.kind === 'ok') {
    lane.inDoubtWrites.resent(generation);
    return { kind: 'settled', found: false };
  }
  if (result.kind === 'unknown') {
    lane.inDoubtWrites.add(generation, clock.now() + lateWriteMs);
    lane.isInDoubt = true;
    lane.isRemovalInDoubt ||= kind === 'remove';
  }
  return failureOf(result);
}

function failureOf(failure: BackendFailure): AttemptResult {
  if (failure.kind === 'invalid') return { kind: 'refused', failure };
  // A write that finds nothing finds no bucket: somebody has to make it.
  if (failure.kind === 'denied' || failure.kind === 'notFound') return { kind: 'denied', failure };
  return { kind: 'failed', failure };
}
