import { abortable, type Emitter } from '@holdfast/foundation';
import { admit } from './commit/admission.ts';
import type { CheckpointFile } from './commit/checkpoint.ts';
import { createCheckpointer } from './commit/checkpointer.ts';
import { excludeDamage } from './segments/damage.ts';
import {
  JournalClosedError,
  JournalCorruptError,
  JournalFullError,
  type JournalLockedError,
  JournalReadError,
  JournalWriteError,
  errnoOf,
} from './errors.ts';
import { createGroupCommit } from './commit/group-commit.ts';
import { type ResolvedJournalOptions, checkSequence, parseReadLimits } from './options.ts';
import type { Journal, JournalEvents, JournalRecord, JournalRecovery } from './journal.ts';
import type { Ownership } from './ownership/ownership.ts';
import { createReader } from './segments/record-reader.ts';
import type { RecoveryResult } from './recovery.ts';
import type { Gap } from './segments/scan.ts';
import { createSegmentLog, indexDistance } from './segments/segment-log.ts';
import { createSegmentAllocator } from './segments/segment-allocator.ts';
import type { Segment } from './segments/segment.ts';

/**
 * The life of an open journal:
 *
 *     open ──close──▶ closing ──flushed──▶ closed
 *      │                                     ▲
 *      └─taken over─▶ lost ──close───────────┘
 */
type Life =
  | { readonly name: 'open' }
  | { readonly name: 'lost'; readonly error: JournalLockedError }
  | { readonly name: 'closing' }
  | { readonly name: 'closed' };

type Turn =
  | { readonly kind: 'close' }
  | { readonly kind: 'flushed' }
  | { readonly kind: 'taken-over'; readonly error: JournalLockedError };

function transition(life: Life, turn: Turn): Life {
  if (life.name === 'open') {
    if (turn.kind === 'close') return { name: 'closing' };
    if (turn.kind === 'taken-over') return { name: 'lost', error: turn.error };
  }
  if (life.name === 'lost' && turn.kind === 'close') return { name: 'closed' };
  if (life.name === 'closing' && turn.kind === 'flushed') return { name: 'closed' };
  return life;
}

/** Assembles the journal of a directory that this process owns and has read. */
export function createDiskJournal(parts: {
  settings: ResolvedJournalOptions;
  ownership: Ownership;
  announcer: Emitter<JournalEvents>;
  id: string;
  findings: RecoveryResult;
  recovery: JournalRecovery;
  checkpoint: CheckpointFile;
}): { journal: Journal; lose: (error: JournalLockedError) => void } {
  const { settings, ownership, announcer, id, findings, recovery } = parts;
  const { directory, files, clock, segmentBytes, durability } = settings;
  const { epoch } = ownership;
  const pointEvery = indexDistance(segmentBytes);
  let life: Life = { name: 'open' };
  let loss: JournalLockedError | undefined;
  let closing: Promise<void> | undefined;
  let appended = 0;
  let rejected = 0;
  let quarantinedRanges = recovery.quarantined.length;
  let isFull = false;
  const reading = new Set<Promise<unknown>>();

  const supply = createSegmentAllocator({ files, directory, id, epoch, segmentBytes });
  const log = createSegmentLog({
    files,
    directory,
    supply,
    found: findings.segments,
    done: findings.done,
    first: findings.released + 1,
    next: findings.next,
    segmentBytes,
    syncs: durability !== 'os',
    condemn: ({ path: file, first: firstSequence }, cause) => {
      announcer.emit('segment-failed', { file, firstSequence, cause });
    },
  });
  const reader = createReader({ files, segments: log.segments, onDamage });
  const checkpointer = createCheckpointer({
    file: parts.checkpoint,
    clock,
    checkpointMs: settings.checkpointMs,
    confirm: () => ownership.confirm(),
    current: () => ({ id, released: log.first - 1, next: log.synced }),
    kept: async ({ released }) => {
      await reader.trim();
      await log.purge(released);
      announcer.emit('checkpointed', { released });
    },
    failed: (cause) => {
      if (loss !== undefined) return false;
      announcer.emit('checkpoint-failed', checkpointError(directory, cause));
      return true;
    },
  });
  const group = createGroupCommit({
    capacity: (firstUnitBytes) => log.capacity(firstUnitBytes),
    commit: async (batch) => {
      const look = ownership.confirm();
      if (look !== undefined) await look;
      const first = await log.commit(batch);
      appended += batch.payloads.length;
      isFull = false;
      checkpointer.touch();
      return first;
    },
    pauseMs: durability === 'batch-ms' ? settings.batchMs : 0,
    clock,
  });
  if (findings.done.length > 0) checkpointer.touch();

  function onDamage(segment: Segment, sequence: number): Promise<void> {
    const accept = (gaps: readonly Gap[]): void => {
      for (const gap of gaps) {
        const seen = 'checksums do not match';
        const error = new JournalCorruptError({ ...gap, file: segment.path, seen });
        quarantinedRanges += 1;
        announcer.emit('quarantined', error);
        if (settings.onCorruption === 'refuse') throw error;
      }
    };
    return excludeDamage(files, segment, sequence, { pointEvery, accept });
  }

  const refusal = (attempted: string): Error | undefined => {
    if (life.name === 'open') return undefined;
    return life.name === 'lost' ? life.error : new JournalClosedError(attempted);
  };

  const refuse = (error: unknown, records: number): void => {
    rejected += records;
    if (!(error instanceof JournalFullError) || isFull) return;
    isFull = true;
    announcer.emit('full', error);
  };

  const add = async (payloads: readonly Uint8Array[], attempted: string): Promise<number> => {
    try {
      const refused = refusal(attempted);
      if (refused !== undefined) throw refused;
      const { heldBytes, next, first } = log;
      const { pendingBytes, pendingRecords } = group;
      const usage = { heldBytes, heldRecords: next - first, pendingBytes, pendingRecords };
      const bytes = admit(payloads, settings, usage);
      if (payloads.length === 0) return next;
      return await group.add(payloads, bytes);
    } catch (error) {
      refuse(error, payloads.length);
      throw error;
    }
  };

  const lose = (error: JournalLockedError): void => {
    loss = error;
    life = transition(life, { kind: 'taken-over', error });
    group.fail(error);
    announcer.emit('lost', error);
  };

  const shutDown = async (): Promise<void> => {
    life = transition(life, { kind: 'close' });
    await group.drain();
    // A write on the way may have found the directory lost only now.
    const wasLost = loss !== undefined;
    await Promise.allSettled(reading);
    const endings = await Promise.allSettled([log.close(!wasLost), reader.close()]);
    if (!wasLost) endings.push(...(await Promise.allSettled([checkpointer.flush()])));
    endings.push(...(await Promise.allSettled([checkpointer.close(), ownership.release()])));
    life = transition(life, { kind: 'flushed' });
    for (const ending of endings) {
      if (ending.status === 'rejected') throw checkpointError(directory, ending.reason);
    }
  };

  const close = (): Promise<void> => (closing ??= shutDown());

  const journal: Journal = {
    id,
    epoch,
    recovery,
    on: announcer.on,
    get first() {
      return log.first;
    },
    get next() {
      return log.next;
    },
    append: (payload) => add([payload], 'append'),
    appendAll: (payloads) => add([...payloads], 'appendAll'),
    async read(from, limits) {
      const { maxRecords, maxBytes, signal } = parseReadLimits(limits);
      checkSequence('read', 'from', from, Number.MAX_SAFE_INTEGER);
      if (life.name === 'closing' || life.name === 'closed') throw new JournalClosedError('read');
      signal?.throwIfAborted();
      const start = Math.max(from, log.first);
      const stopped = (): boolean => signal?.aborted === true;
      const work: Promise<JournalRecord[]> = reader
        .read(start, { maxRecords, maxBytes }, stopped)
        .catch((cause: unknown) => {
          throw errnoOf(cause)?.startsWith('E') === true
            ? new JournalReadError(directory, cause)
            : cause;
        });
      reading.add(work);
      const forget = (): void => void reading.delete(work);
      work.then(forget, forget);
      return signal === undefined ? work : abortable(work, signal);
    },
    async release(through) {
      const refused = refusal('release');
      if (refused !== undefined) throw refused;
      checkSequence('release', 'through', through, log.next - 1);
      if (through < log.first) return;
      log.release(through);
      checkpointer.touch();
    },
    getStats: () => ({
      state: life.name,
      records: log.heldRecords,
      bytes: log.heldBytes,
      segments: log.segments.length,
      pendingRecords: group.pendingRecords,
      pendingBytes: group.pendingBytes,
      appended,
      rejected,
      released: log.first - 1,
      commits: log.commits,
      syncs: log.syncs,
      failedSegments: log.failedSegments,
      quarantinedRanges,
    }),
    close,
    [Symbol.asyncDispose]: close,
  };
  return { journal, lose };
}

function checkpointError(directory: string, cause: unknown): JournalWriteError {
  return new JournalWriteError(
    directory,
    `journal: the last mark of ${directory} could not be kept (${errnoOf(cause) ?? 'no code'}); ` +
      'records released since may be read once more',
    { cause, outcome: 'unknown' },
  );
}
