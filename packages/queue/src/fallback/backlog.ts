import type { Journal } from '@holdfast/journal';
import { type Clock, type Timer, isHoldfastError } from '@holdfast/foundation';
import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from '../producer/topic-buffer.ts';
import { type StoredJob, decodeJob, encodeJobs } from './record.ts';
import { TailCache } from './tail-cache.ts';

export interface BacklogDeps {
  readonly journal: Journal;
  readonly clock: Clock;
  /** How long what Redis has taken stays in the journal, in case Redis forgets it; 0 for not at all. */
  readonly retainMs: number;
  /** Hears of jobs that were given up to make room; without it, none is. */
  readonly onShed?: ((jobs: readonly StoredJob[]) => void) | undefined;
}

/** Jobs that stand together in the journal. */
export interface Window {
  readonly jobs: readonly StoredJob[];
  /** The place of the last one; where none could be read, of the last there was when that was tried. */
  readonly through: number;
}

/**
 * The jobs that wait in the journal for Redis, and behind them those that Redis has taken lately.
 *
 *     released │ taken, kept for `retainMs` │ waiting │ next
 *              └ journal.first              └ cursor
 */
export class Backlog {
  readonly id: string;
  readonly epoch: number;
  readonly #parts: BacklogDeps;
  /** Below it stands what an earlier owner of the journal has written. */
  readonly #inheritedUntil: number;
  #cursor: number;
  readonly #tail = new TailCache();
  #taken: { readonly through: number; readonly atMs: number }[] = [];
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(parts: BacklogDeps) {
    const { journal } = parts;
    this.#parts = parts;
    this.id = journal.id;
    this.epoch = journal.epoch;
    this.#cursor = journal.first;
    this.#inheritedUntil = journal.next;
  }

  /** How many jobs wait. */
  get size(): number {
    return this.#parts.journal.next - this.#cursor;
  }

  /** What they take, as their share of all that the journal holds. */
  get bytes(): number {
    const { journal } = this.#parts;
    const held = journal.next - journal.first;
    return held === 0 ? 0 : Math.ceil((journal.getStats().bytes * this.size) / held);
  }

  /**
   * Resolves once all of them are durable. The jobs of one topic are appended one call after the other:
   * only then does one that had to make room first keep its place.
   * @throws what the journal throws; none of them is kept then.
   */
  async append(jobs: readonly StoredJob[]): Promise<void> {
    const records = encodeJobs(jobs);
    while (true) {
      try {
        const first = await this.#parts.journal.appendAll(records);
        this.#tail.add(first, jobs, this.#cursor);
        return;
      } catch (error) {
        const isFull = isHoldfastError(error) && error.code === 'JOURNAL_FULL';
        if (!isFull || !(await this.#makeRoom())) throw error;
      }
    }
  }

  /**
   * The oldest jobs that wait, as many as travel in one step. Those of an earlier owner travel by themselves:
   * were one of this owner's confirmed before they are taken, and then forgotten, it would be given again
   * before them, and Redis, having seen a later epoch, would skip them.
   */
  async window(): Promise<Window> {
    const from = this.#cursor;
    if (from < this.#inheritedUntil) return this.#read(from, this.#inheritedUntil);
    const jobs = this.#tail.window(from);
    if (jobs !== undefined) return { jobs, through: from + jobs.length - 1 };
    return this.#read(from, this.#parts.journal.next);
  }

  /** Redis has taken everything through there. */
  async taken(through: number): Promise<void> {
    const { journal, clock, retainMs } = this.#parts;
    if (through < this.#cursor) return;
    this.#cursor = through + 1;
    this.#tail.dropBefore(this.#cursor);
    if (retainMs === 0) return journal.release(through);
    this.#taken.push({ through, atMs: clock.now() });
    this.#schedule();
  }

  /** What an earlier owner has written and Redis has taken: its numbering is not in this one's memory. */
  async *inherited(): AsyncGenerator<Window> {
    const end = (): number => Math.min(this.#cursor, this.#inheritedUntil);
    let from = this.#parts.journal.first;
    while (from < end()) {
      const { jobs, through } = await this.#read(from, end());
      if (jobs.length === 0) return;
      yield { jobs, through };
      from = through + 1;
    }
  }

  /** Lets go of what is old enough; the rest stays for the next owner. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#release();
    await this.#parts.journal.close();
  }

  /** What Redis has taken gives way to what it has not; and that, where it was asked for, the oldest first. */
  async #makeRoom(): Promise<boolean> {
    const { journal, onShed } = this.#parts;
    const taken = this.#taken.splice(0).at(-1);
    if (taken !== undefined) {
      await journal.release(taken.through);
      return true;
    }
    if (onShed === undefined) return false;
    const { jobs, through } = await this.window();
    if (jobs.length === 0) return false;
    this.#cursor = Math.max(this.#cursor, through + 1);
    await journal.release(through);
    onShed(jobs);
    return true;
  }

  /** Those before `end`, which may be far apart where the journal was damaged. */
  async #read(from: number, end: number): Promise<Window> {
    const read = await this.#parts.journal.read(from, {
      maxRecords: Math.max(1, Math.min(end - from, MAX_BATCH_JOBS)),
      maxBytes: MAX_BATCH_CHARACTERS,
    });
    const records = read.filter(({ sequence }) => sequence < end);
    const jobs = records.map(({ payload }) => decodeJob(payload));
    return { jobs, through: records.at(-1)?.sequence ?? end - 1 };
  }

  #schedule(): void {
    const [oldest] = this.#taken;
    if (this.#timer !== undefined || oldest === undefined || this.#isClosed) return;
    const { clock, retainMs } = this.#parts;
    const delayMs = Math.max(1, oldest.atMs + retainMs - clock.now());
    const onTime = async (): Promise<void> => {
      await this.#release().catch(() => undefined);
      this.#timer = undefined;
      this.#schedule();
    };
    this.#timer = clock.schedule(delayMs, () => void onTime(), { holdsProcess: false });
  }

  async #release(): Promise<void> {
    const { journal, clock, retainMs } = this.#parts;
    const youngest = clock.now() - retainMs;
    const expired = this.#taken.findLastIndex(({ atMs }) => atMs <= youngest);
    const through = this.#taken.splice(0, expired + 1).at(-1)?.through;
    if (through !== undefined) await journal.release(through);
  }
}
