import { createEmitter, seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type BodySource, type ObjectHead, fail, ok } from '../../src/backend.ts';
import { WriterLives } from '../../src/journal/lives.ts';
import type { Operation } from '../../src/journal/operation.ts';
import { bytesSource } from '../../src/object/body.ts';
import { BackendWriter } from '../../src/replication/backend-writer.ts';
import { type DeliverDeps, deliver } from '../../src/replication/deliver.ts';
import type { DeliveryResult } from '../../src/replication/delivery-queue.ts';
import { KeyReplica } from '../../src/replication/key-replica.ts';
import { RemovalMarks } from '../../src/replication/removal-marks.ts';
import { type StorageEvents, storageEventKinds } from '../../src/storage.ts';
import { ScriptedBackend } from './scripted-backend.ts';

export const BEFORE = '0000000000000001';
export const lives = new WriterLives({
  writerId: 'w',
  nonce: 'ffffffffffffffff',
  earlier: new Map([[BEFORE, 100]]),
  knownUpTo: 100,
});
export const LATE_MS = 10_000;
export const PROBE_MS = 60_000;
export const AWAY = fail('transient', 'ECONNREFUSED');
export const LOST = fail('unknown', 'ECONNRESET');
export const CONFLICT = fail('conflict', 'HTTP 412');
export const DENIED = fail('denied', 'HTTP 403 AccessDenied', { code: 'AccessDenied' });

export function operation(generation: number, more: Partial<Operation> = {}): Operation {
  return {
    kind: 'put',
    key: 'k',
    id: lives.operationId(generation),
    generation,
    acceptedAtEpochMs: 0,
    size: 4,
    sha256: 'sum',
    contentType: 'text/plain',
    maxAgeSeconds: 60,
    metadata: { color: 'red' },
    ...more,
  };
}

export const head = (more: Partial<ObjectHead> = {}) =>
  ok<ObjectHead>({ key: 'k', size: 4, version: 'v1', metadata: {}, ...more });
export const ours = (generation: number, id = lives.operationId(generation)) =>
  head({ stamp: { operationId: id, generation, sha256: 'sum' } });

/** The replica of one key at a scripted backend. */
export function openReplica(given: Partial<DeliverDeps> = {}) {
  const clock = createFakeClock();
  const emitter = createEmitter<StorageEvents>('test', storageEventKinds);
  const backend = new ScriptedBackend();
  const circuitBreaker = { failureThreshold: 3, openDurationMs: 100, maxOpenDurationMs: 100 };
  const limits = { maxConcurrent: 2, maxConcurrentLarge: 1, deniedProbeMs: PROBE_MS };
  const writer = new BackendWriter(backend, 0, { clock, emitter, circuitBreaker, ...limits });
  const replica = new KeyReplica('k', writer);
  const superseded: string[] = [];
  const copies: Operation[] = [];
  const conflicts: string[] = [];
  emitter.on('conflict', ({ resolution }) => conflicts.push(resolution));
  const log = {
    body: async (): Promise<BodySource> => bytesSource(Buffer.from('body')),
    isDamaged: (): boolean => false,
    progress: new Array<unknown>(),
    keepProgress: async (progress: unknown) => void log.progress.push(progress),
  };
  const deps: DeliverDeps = {
    // The other methods are not called.
    log: Object.assign(Object.create(null), log),
    clock,
    emitter,
    signal: new AbortController().signal,
    lives,
    marks: new RemovalMarks(lives, clock),
    lateWriteMs: LATE_MS,
    conflicts: 'keep-both',
    onSuperseded: async (key) => void superseded.push(key),
    random: seededRandom(1),
    retry: { initialDelayMs: 100, maxDelayMs: 1_000 },
    deniedProbeMs: PROBE_MS,
    freshMs: 5_000,
    keepConflictCopy: async (lost) => void copies.push(lost),
    ...given,
  };
  const send = (one: Operation): Promise<DeliveryResult> => deliver(replica, one, deps);
  return {
    clock,
    emitter,
    backend,
    writer,
    replica,
    superseded,
    copies,
    conflicts,
    log,
    deps,
    send,
  };
}

export const SETTLED = { outcome: { kind: 'responded' }, next: { kind: 'settled' } };
