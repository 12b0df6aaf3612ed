import { randomBytes } from 'node:crypto';
import type { Journal, JournalFailure, JournalFullError } from '@holdfast/journal';
import type { Clock, Timer } from '@holdfast/foundation';
import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from '../batch-limits.ts';
import { isJournalFull } from '../errors.ts';
import { type StoredJob, decodeJob, encodeJobs } from './record.ts';
import { TailCache } from './tail-cache.ts';

interface BacklogDeps {
  readonly journal: Journal;
  readonly clock: Clock;
  /** How long jobs stay in the journal after Redis has accepted them, in case Redis loses them; 0 for not at all. */
  readonly retainMs: number;
  /** Called with jobs that were shed to make room; without it, none are shed. */
  readonly onShed?: ((jobs: readonly StoredJob[]) => void) | undefined;
  /** Called when waiting jobs cannot be read again, because the directory of the journal is gone. */
  readonly onLost?: ((jobs: number, failure: JournalFailure) => void) | undefined;
}

/** Consecutive jobs of the journal. */
interface Window {
  readonly jobs: readonly StoredJob[];
  /** The journal sequence of the last job; of the last record when none could be read. */
  readonly through: number;
}

/**
 * The jobs of the journal: those that Redis has not accepted yet, and those that it has accepted lately.
 *
 *     released │ accepted, kept for `retainMs` │ waiting │ next
 *              └ journal.first                 └ cursor
 */
export class Backlog {
  readonly id: string;
  readonly epoch: number;
  /** Distinguishes this owner from those that opened a copy of the directory, and so have the same id and epoch. */
  readonly nonce: string = randomBytes(12).toString('base64url');
  readonly #deps: BacklogDeps;
  /** Records below this sequence were written by an earlier owner of the journal. */
  readonly #inheritedUntil: number;
  #cursor: number;
  /** Above it there are only records whose callers were told that their outcome is unknown. */
  #acknowledgedUntil: number;
  readonly #tail = new TailCache();
  #accepted: { readonly through: number; readonly atMs: number }[] = [];
  #timer: Timer | undefined;
  #isClosed = false;
  /** When Redis failed: what it had accepted within the retention time before that may be needed again. */
  lostAtMs: number | undefined;

  constructor(deps: BacklogDeps) {
    const { journal } = deps;
    this.#deps = deps;
    this.id = journal.id;
    this.epoch = journal.epoch;
    this.#cursor = journal.first;
    this.#inheritedUntil = journal.next;
    this.#acknowledgedUntil = journal.next;
  }

  /** The number of waiting jobs. */
  get size(): number {
    return this.#deps.journal.next - this.#cursor;
  }

  /** The waiting jobs' share of the journal's bytes. */
  get bytes(): number {
    const { journal } = this.#deps;
    const held = journal.next - journal.first;
    return held === 0 ? 0 : Math.ceil((journal.getStats().bytes * this.size) / held);
  }

  /** Why no job can be appended at the moment, as far as is known. */
  get failure(): JournalFailure | undefined {
    return this.#deps.journal.getStats().failure;
  }

  /** Calls `listener` when jobs whose append had rejected with outcome `unknown` are in the journal, or are not. */
  onResumed(listener: () => void): void {
    this.#deps.journal.on('resumed', listener);
  }

  /** @throws JournalLockedError when another process has taken the journal over. */
  async confirmOwnership(): Promise<void> {
    await this.#deps.journal.appendAll([]);
  }

  /**
   * Resolves once all jobs are durable. The caller appends the jobs of one topic one call after the other, because
   * a call that has to make room first may be overtaken by a later one.
   * @throws the errors of the journal; none of the jobs is stored then.
   */
  async append(jobs: readonly StoredJob[]): Promise<void> {
    const records = encodeJobs(jobs);
    while (true) {
      try {
        const first = await this.#deps.journal.appendAll(records);
        this.#acknowledgedUntil = Math.max(this.#acknowledgedUntil, first + jobs.length);
        this.#tail.add(first, jobs, this.#cursor);
        return;
      } catch (error) {
        if (!isJournalFull(error) || !(await this.#makeRoom(error, records))) throw error;
      }
    }
  }

  /**
   * The oldest waiting jobs, at most one batch. Jobs of an earlier owner are never in one window with this owner's:
   * if Redis confirmed and then lost one of this owner's, it would be sent again before them, and Redis, having
   * seen a later epoch, would skip them.
   */
  async window(): Promise<Window> {
    const from = this.#cursor;
    const isInherited = from < this.#inheritedUntil;
    const jobs = isInherited ? undefined : this.#tail.window(from);
    if (jobs !== undefined) return { jobs, through: from + jobs.length - 1 };
    const end = isInherited ? this.#inheritedUntil : this.#deps.journal.next;
    try {
      return await this.#read(from, end);
    } catch (error) {
      if (!this.#isGone) throw error;
      // Its files are nowhere: what they hold must not hold up what Redis can take, nor what is in memory.
      const until = isInherited ? end : (this.#tail.first ?? end);
      const lost = Math.min(until, this.#acknowledgedUntil) - from;
      const failure = this.failure ?? { code: 'JOURNAL_UNAVAILABLE', message: '' };
      if (lost > 0) this.#deps.onLost?.(lost, failure);
      return { jobs: [], through: until - 1 };
    }
  }

  /** Redis has accepted all jobs up to this journal sequence. */
  async accepted(through: number): Promise<void> {
    const { journal, clock, retainMs } = this.#deps;
    if (through < this.#cursor) return;
    this.#cursor = through + 1;
    this.#tail.dropBefore(this.#cursor);
    if (this.#isGone) return;
    if (retainMs === 0) return journal.release(through);
    this.#accepted.push({ through, atMs: clock.now() });
    this.#schedule();
  }

  /** The jobs that an earlier owner has written and Redis has accepted; this process has no resend buffer for them. */
  async *inherited(): AsyncGenerator<Window> {
    const end = (): number => Math.min(this.#cursor, this.#inheritedUntil);
    let from = this.#deps.journal.first;
    while (from < end()) {
      const { jobs, through } = await this.#read(from, end()).catch((error: unknown) => {
        if (!this.#isGone) throw error;
        return { jobs: [], through: 0 };
      });
      if (jobs.length === 0) return;
      yield { jobs, through };
      from = through + 1;
    }
  }

  /** Releases expired jobs; the others stay for the next owner. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    // A journal that is lost, or whose disk hangs, keeps what it has for its next owner.
    await Promise.allSettled([this.#release()]);
    await this.#deps.journal.close();
  }

  /** The directory was removed or replaced while this process had it open. */
  get #isGone(): boolean {
    const { state, failure } = this.#deps.journal.getStats();
    return state === 'lost' && failure?.code === 'JOURNAL_UNAVAILABLE';
  }

  /** Releases accepted jobs; if there are none and shedding is on, sheds the oldest waiting ones. */
  async #makeRoom(full: JournalFullError, records: readonly Uint8Array[]): Promise<boolean> {
    const { journal, onShed } = this.#deps;
    // What waits for the disk is not kept yet.
    if (full.limit === 'pending') return false;
    const accepted = this.#accepted.splice(0).at(-1);
    if (accepted !== undefined) {
      await journal.release(accepted.through);
      return true;
    }
    if (onShed === undefined) return false;
    const shed = await journal.read(this.#cursor, excessOf(full, records));
    const through = shed.at(-1)?.sequence;
    if (through === undefined) return false;
    this.#cursor = Math.max(this.#cursor, through + 1);
    await journal.release(through);
    onShed(shed.map(({ payload }) => decodeJob(payload)));
    return true;
  }

  /** Reads records below `end`; in a damaged journal their sequences may have gaps. */
  async #read(from: number, end: number): Promise<Window> {
    const read = await this.#deps.journal.read(from, {
      maxRecords: Math.max(1, Math.min(end - from, MAX_BATCH_JOBS)),
      maxBytes: MAX_BATCH_CHARACTERS,
    });
    const records = read.filter(({ sequence }) => sequence < end);
    const jobs = records.map(({ payload }) => decodeJob(payload));
    return { jobs, through: records.at(-1)?.sequence ?? end - 1 };
  }

  #schedule(): void {
    const [oldest] = this.#accepted;
    if (this.#timer !== undefined || oldest === undefined || this.#isClosed) return;
    const { clock, retainMs } = this.#deps;
    const untilMs = oldest.atMs + retainMs - clock.now();
    // While Redis is away nothing is released: the timer then runs once in a retention time.
    const delayMs = this.lostAtMs === undefined ? Math.max(1, untilMs) : retainMs;
    const onTime = async (): Promise<void> => {
      await this.#release().catch(() => undefined);
      this.#timer = undefined;
      this.#schedule();
    };
    this.#timer = clock.schedule(delayMs, () => void onTime(), { holdsProcess: false });
  }

  async #release(): Promise<void> {
    const { journal, clock, retainMs } = this.#deps;
    const youngest = (this.lostAtMs ?? clock.now()) - retainMs;
    const expired = this.#accepted.findLastIndex(({ atMs }) => atMs <= youngest);
    const through = this.#accepted.splice(0, expired + 1).at(-1)?.through;
    if (through !== undefined) await journal.release(through);
  }
}

/** How many of the oldest records have to go so that these find room. */
function excessOf(
  { limit, current, max }: JournalFullError,
  records: readonly Uint8Array[],
): { maxRecords: number; maxBytes?: number } {
  // The disk gives no number.
  if (max === undefined) return { maxRecords: MAX_BATCH_JOBS, maxBytes: MAX_BATCH_CHARACTERS };
  if (limit === 'records') return { maxRecords: Math.max(1, current + records.length - max) };
  const added = records.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { maxRecords: MAX_BATCH_JOBS, maxBytes: Math.max(1, current + added - max) };
}
