import { type Random, exponentialBackoff } from '@holdfast/foundation';
import { type StorageFailure, fail } from '../backend.ts';
import type { Operation } from '../journal/operation.ts';
import { type AttemptDeps, type AttemptResult, abandonUpload, attempt } from './attempt.ts';
import { type DeliveryResult, type ReplicaStep, retryAfterMsIn } from './delivery-queue.ts';
import type { KeyReplica } from './key-replica.ts';
import { verify } from './verify.ts';

export interface DeliverDeps extends AttemptDeps {
  readonly random: Random;
  readonly retry: { readonly initialDelayMs: number; readonly maxDelayMs: number };
  /** How long a key waits that alone is denied. */
  readonly deniedProbeMs: number;
  /** After this time a waiting write is no longer known to be the latest. */
  readonly freshMs: number;
  /** Accepts the bytes of a write that lost a conflict, under another key. */
  readonly keepConflictCopy: (operation: Operation) => Promise<void>;
}

/** How often the backend is read while an earlier write may still be applied. */
const READS_WHILE_DEFERRED = 10;
/** Delays have long stopped growing by then. */
const MAX_BACKOFF_STEPS = 20;

/** Delivers the newest operation of a key to its backend, or verifies one delivered before. Never rejects. */
export async function deliver(
  replica: KeyReplica,
  operation: Operation,
  deps: DeliverDeps,
): Promise<DeliveryResult> {
  try {
    if (replica.settledGeneration >= operation.generation) {
      return await verifyDelivered(replica, operation, deps);
    }
    replica.isDelayed ||= deps.clock.now() - replica.acceptedAtMs > deps.freshMs;
    const result = await attempt(replica, operation, deps);
    const { kind } = result;
    if (kind === 'conflict-lost' || kind === 'refused') await abandonUpload(replica, deps.signal);
    if (kind === 'conflict-lost' && result.keepCopy) await deps.keepConflictCopy(operation);
    return afterAttempt(replica, result, deps);
  } catch (cause) {
    // Not a failure of the backend: this machine could not keep what it had to.
    const failure = fail('transient', 'a write could not be prepared', { cause });
    return { outcome: { kind: 'inconclusive' }, next: retryLater(replica, failure, deps) };
  }
}

function afterAttempt(
  replica: KeyReplica,
  result: AttemptResult,
  deps: DeliverDeps,
): DeliveryResult {
  const { clock, lateWriteMs } = deps;
  const { writer } = replica;
  if (result.kind === 'settled' || result.kind === 'conflict-lost') {
    if (result.kind === 'settled' && result.found) writer.counts.alreadyApplied += 1;
    replica.failures = 0;
    replica.denial = undefined;
    writer.lastAcceptedAtMs = clock.now();
    return { outcome: { kind: 'responded' }, next: { kind: 'settled' } };
  }
  if (result.kind === 'deferred') {
    replica.isInDoubt = true;
    const restMs = result.untilMs - clock.now();
    const delayMs = Math.max(1, Math.min(restMs, lateWriteMs / READS_WHILE_DEFERRED));
    return { outcome: { kind: 'inconclusive' }, next: { kind: 'retryLater', delayMs } };
  }
  const { kind, failure } = result;
  writer.recordFailure(failure);
  if (kind === 'refused') {
    return { outcome: { kind: 'responded' }, next: { kind: 'refused', failure } };
  }
  replica.isDelayed = true;
  if (kind === 'denied') {
    // A policy may deny one key alone: the others do not wait for it.
    const isAlone =
      result.isAlone ||
      (replica.denial !== undefined && writer.lastAcceptedAtMs > replica.denial.atMs);
    replica.denial = { atMs: clock.now(), failure };
    if (isAlone) {
      const next = { kind: 'retryLater', delayMs: deps.deniedProbeMs } as const;
      return { outcome: { kind: 'inconclusive' }, next };
    }
  }
  return { outcome: { kind, failure }, next: retryLater(replica, failure, deps) };
}

/** Reads the object once no earlier write can be applied any more: is ours still there? */
async function verifyDelivered(
  replica: KeyReplica,
  operation: Operation,
  deps: DeliverDeps,
): Promise<DeliveryResult> {
  const { clock, emitter, lives, signal, onSuperseded } = deps;
  const { writer, isRemovalInDoubt } = replica;
  const restMs = (replica.verifyAtMs ?? 0) - clock.now();
  if (restMs > 0) {
    return { outcome: { kind: 'inconclusive' }, next: { kind: 'retryLater', delayMs: restMs } };
  }
  writer.counts.heads += 1;
  const verified = await verify(operation, writer.backend, { lives, signal, isRemovalInDoubt });
  if (verified.kind === 'failed') {
    const { failure } = verified;
    writer.recordFailure(failure);
    return { outcome: { kind: 'failed', failure }, next: retryLater(replica, failure, deps) };
  }
  replica.verifyAtMs = undefined;
  if (verified.kind === 'intact') {
    if (!verified.isOurs) await onSuperseded(replica.key, writer.backend.name);
    return { outcome: { kind: 'responded' }, next: { kind: 'verified' } };
  }
  replica.settledGeneration = operation.generation - 1;
  emitter.emit('late-write', {
    backend: writer.backend.name,
    path: replica.key,
    operationId: operation.id,
    atMs: clock.now(),
  });
  return { outcome: { kind: 'responded' }, next: { kind: 'retryLater', delayMs: 0 } };
}

/** A backend that denies is probed on its own schedule; after other failures the delays grow. */
function retryLater(
  replica: KeyReplica,
  failure: StorageFailure,
  { retry, random }: DeliverDeps,
): ReplicaStep {
  replica.failures += 1;
  if (failure.kind === 'denied' || failure.kind === 'notFound') {
    return { kind: 'retryLater', delayMs: 0 };
  }
  const delays = exponentialBackoff({ ...retry, jitterFactor: 0.25 }).delays(random);
  let delayMs = 0;
  for (let step = 0; step < Math.min(replica.failures, MAX_BACKOFF_STEPS); step += 1) {
    delayMs = delays.next().value;
  }
  return { kind: 'retryLater', delayMs: Math.max(1, delayMs, retryAfterMsIn(failure) ?? 0) };
}
