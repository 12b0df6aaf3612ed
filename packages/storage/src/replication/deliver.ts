import { type Emitter, type Clock, type Random, exponentialBackoff } from '@holdfast/foundation';
import { type BackendFailure, fail } from '../backend.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import type { Operation } from '../journal/operation.ts';
import type { Conflict, ConflictResolution, StorageEvents } from '../storage.ts';
import { type AttemptResult, type AttemptDeps, abandonUpload, attempt } from './attempt.ts';
import type { BackendWriter } from './backend-writer.ts';
import type { KeyReplica } from './key-replica.ts';
import type { DeliveryOutcome } from './delivery-queue.ts';
import { verify } from './verify.ts';

/** What a lane does after its turn. */
export type NextStep =
  /** The backend has the operation, or what became of it is decided. */
  | { readonly kind: 'settled' }
  /** It still has it, and nothing can undo it any more. */
  | { readonly kind: 'verified' }
  | { readonly kind: 'refused'; readonly failure: BackendFailure }
  | { readonly kind: 'again'; readonly delayMs: number };

export interface DeliverDeps {
  readonly log: OperationLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly announcer: Emitter<StorageEvents>;
  /** What the ids of our own operations begin with. */
  readonly writer: string;
  readonly lateWriteMs: number;
  readonly retryInitialDelayMs: number;
  readonly retryMaxDelayMs: number;
  /** How long a key waits that is denied alone, while others are let in. */
  readonly deniedProbeMs: number;
  /** A write that has waited this long is no longer known to be the latest. */
  readonly freshMs: number;
  readonly resolve: (conflict: Conflict) => Promise<ConflictResolution>;
  /** Keeps the bytes of a write that lost to somebody else's, under another key. */
  readonly keepBeside: (operation: Operation) => Promise<void>;
}

/** Looks for a write that may still be applied so many times before its time is over. */
const LOOKS_AT_LATE_WRITES = 10;
/** Delays have long stopped growing by then. */
const MAX_STEPS = 20;

/** What the attempts at one backend need, made once for all of them. */
export function attemptParts(
  channel: BackendWriter,
  signal: AbortSignal,
  { log, clock, writer, lateWriteMs, resolve }: DeliverDeps,
): AttemptDeps {
  const { backend, counts } = channel;
  const count: AttemptDeps['count'] = (what, bytes) => {
    counts[what] += 1;
    counts.putBytes += bytes;
  };
  return { backend, log, clock, signal, writer, lateWriteMs, resolve, count };
}

/** One lane's turn with its newest operation. Never rejects. */
export async function deliver(
  lane: KeyReplica,
  operation: Operation,
  channel: BackendWriter,
  attemptDeps: AttemptDeps,
  parts: DeliverDeps,
): Promise<{ result: DeliveryOutcome; next: NextStep }> {
  try {
    if (lane.settledGeneration >= operation.generation) {
      return await verifyDelivered(lane, operation, channel, attemptDeps.signal, parts);
    }
    const { clock, freshMs, keepBeside } = parts;
    lane.isDelayed ||= clock.now() - lane.acceptedAtMs > freshMs;
    const attempted = await attempt(lane, operation, attemptDeps);
    const { kind } = attempted;
    if (kind === 'yielded' || kind === 'refused') await abandonUpload(lane, attemptDeps);
    if (kind === 'yielded' && attempted.beside) await keepBeside(operation);
    return afterAttempt(lane, channel, attempted, parts);
  } catch (cause) {
    // Not the backend's doing: what was to be kept on this machine could not be.
    const failure = fail('transient', 'a write could not be prepared', { cause });
    return { result: { kind: 'nothing' }, next: retryLater(lane, failure, parts) };
  }
}

function afterAttempt(
  lane: KeyReplica,
  channel: BackendWriter,
  attempted: AttemptResult,
  parts: DeliverDeps,
): { result: DeliveryOutcome; next: NextStep } {
  const { clock, lateWriteMs } = parts;
  if (attempted.kind === 'settled' || attempted.kind === 'yielded') {
    if (attempted.kind === 'settled' && attempted.found) channel.counts.alreadyApplied += 1;
    lane.failures = 0;
    lane.deniedAtMs = undefined;
    channel.lastAcceptedAtMs = clock.now();
    return { result: { kind: 'answered' }, next: { kind: 'settled' } };
  }
  if (attempted.kind === 'held-back') {
    lane.isInDoubt = true;
    const restMs = attempted.untilMs - clock.now();
    const delayMs = Math.max(1, Math.min(restMs, lateWriteMs / LOOKS_AT_LATE_WRITES));
    return { result: { kind: 'nothing' }, next: { kind: 'again', delayMs } };
  }
  const { kind, failure } = attempted;
  channel.recordFailure(failure);
  if (kind === 'refused') {
    return { result: { kind: 'answered' }, next: { kind: 'refused', failure } };
  }
  lane.isDelayed = true;
  if (kind === 'denied') {
    // A policy may forbid one key alone: the others do not wait for it.
    const isAlone = lane.deniedAtMs !== undefined && channel.lastAcceptedAtMs > lane.deniedAtMs;
    lane.deniedAtMs = clock.now();
    if (isAlone) {
      const next = { kind: 'again', delayMs: parts.deniedProbeMs } as const;
      return { result: { kind: 'nothing' }, next };
    }
  }
  return { result: { kind, failure }, next: retryLater(lane, failure, parts) };
}

/** After the time in which an earlier write could still be applied: does ours stand? */
async function verifyDelivered(
  lane: KeyReplica,
  operation: Operation,
  channel: BackendWriter,
  signal: AbortSignal,
  parts: DeliverDeps,
): Promise<{ result: DeliveryOutcome; next: NextStep }> {
  const { clock, announcer, writer } = parts;
  const restMs = (lane.verifyAtMs ?? 0) - clock.now();
  if (restMs > 0) {
    return { result: { kind: 'nothing' }, next: { kind: 'again', delayMs: restMs } };
  }
  channel.counts.heads += 1;
  const verified = await verify(operation, channel.backend, {
    writer,
    signal,
    isRemovalInDoubt: lane.isRemovalInDoubt,
  });
  if (verified.kind === 'failed') {
    const { failure } = verified;
    channel.recordFailure(failure);
    const kind = failure.kind === 'denied' ? 'denied' : 'failed';
    return { result: { kind, failure }, next: retryLater(lane, failure, parts) };
  }
  lane.verifyAtMs = undefined;
  if (verified.kind === 'stands') {
    return { result: { kind: 'answered' }, next: { kind: 'verified' } };
  }
  lane.settledGeneration = operation.generation - 1;
  announcer.emit('late-write', {
    backend: lane.backend,
    path: lane.key,
    operationId: operation.id,
    atMs: clock.now(),
  });
  return { result: { kind: 'answered' }, next: { kind: 'again', delayMs: 0 } };
}

/** A denied backend has a schedule of its own; a failing one gets longer and longer pauses. */
function retryLater(lane: KeyReplica, failure: BackendFailure, parts: DeliverDeps): NextStep {
  lane.failures += 1;
  if (failure.kind === 'denied' || failure.kind === 'notFound') {
    return { kind: 'again', delayMs: 0 };
  }
  const delays = exponentialBackoff({
    initialDelayMs: parts.retryInitialDelayMs,
    maxDelayMs: parts.retryMaxDelayMs,
    jitterFactor: 0.25,
  }).delays(parts.random);
  let delayMs = 0;
  for (let step = 0; step < Math.min(lane.failures, MAX_STEPS); step += 1) {
    delayMs = delays.next().value;
  }
  return { kind: 'again', delayMs: Math.max(1, delayMs, failure.retryAfterMs ?? 0) };
}
