import type { Journal } from '@holdfast/journal';
import type { DeadJob } from '../queue.ts';
import type { StoredJob } from './record.ts';

/** A job that Redis refused for what it is, after the fallback had accepted it. */
export interface PoisonJob extends StoredJob {
  readonly reason: string;
}

type Entry =
  | { readonly kind: 'poison'; readonly job: PoisonJob }
  | { readonly kind: 'redriven'; readonly sequence: number };

export interface PoisonStoreDeps {
  /** Opens where they are kept; asked once, when something is there or comes. */
  readonly open: () => Promise<Journal>;
  readonly maxJobs: number;
}

/**
 * Jobs set apart, kept as durably as the fallback keeps the others. A job that was redriven is remembered as
 * gone until the next opening, because the fallback may hold its first record for a while yet, and that one
 * must not be sent.
 */
export class PoisonStore {
  readonly #parts: PoisonStoreDeps;
  readonly #jobs = new Map<number, PoisonJob>();
  readonly #known = new Set<string>();
  #journal: Promise<Journal> | undefined;

  constructor(parts: PoisonStoreDeps) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Reads what the last owner has set apart. */
  async load(): Promise<void> {
    const journal = await this.#opened();
    let from = journal.first;
    while (true) {
      const records = await journal.read(from);
      for (const { sequence, payload } of records) this.#replay(sequence, readEntry(payload));
      const last = records.at(-1);
      if (last === undefined) break;
      from = last.sequence + 1;
    }
    await this.#releasePrefix(journal);
  }

  /** Whether this record of the fallback was set apart, be it long redriven. */
  has(job: StoredJob): boolean {
    return this.#known.size > 0 && this.#known.has(recordOf(job));
  }

  /** Resolves once it is kept. @throws what the journal throws */
  async add(job: PoisonJob): Promise<void> {
    const journal = await this.#opened();
    if (this.has(job)) return;
    this.#known.add(recordOf(job));
    try {
      const sequence = await journal.append(encodeEntry({ kind: 'poison', job }));
      this.#jobs.set(sequence, job);
    } catch (error) {
      this.#known.delete(recordOf(job));
      throw error;
    }
    while (this.#jobs.size > this.#parts.maxJobs) {
      const [oldest] = this.#jobs.keys();
      if (oldest !== undefined) this.#jobs.delete(oldest);
      await this.#releasePrefix(journal);
    }
  }

  /** The topic's, the oldest first. */
  of(topic: string): { readonly sequence: number; readonly job: PoisonJob }[] {
    return [...this.#jobs]
      .filter(([, job]) => job.topic === topic)
      .map(([sequence, job]) => ({ sequence, job }));
  }

  /** It is a job again. */
  async remove(sequence: number): Promise<void> {
    const journal = await this.#opened();
    await journal.append(encodeEntry({ kind: 'redriven', sequence }));
    this.#jobs.delete(sequence);
  }

  async close(): Promise<void> {
    const journal = await this.#journal?.catch(() => undefined);
    await journal?.close();
  }

  #opened(): Promise<Journal> {
    this.#journal ??= this.#parts.open();
    // A disk that had no room may have some the next time.
    this.#journal.catch(() => (this.#journal = undefined));
    return this.#journal;
  }

  #replay(sequence: number, entry: Entry): void {
    if (entry.kind === 'redriven') {
      this.#jobs.delete(entry.sequence);
      return;
    }
    this.#jobs.set(sequence, entry.job);
    this.#known.add(recordOf(entry.job));
  }

  /** Releases what stands before the oldest that is still here. */
  async #releasePrefix(journal: Journal): Promise<void> {
    const [oldest = journal.next] = this.#jobs.keys();
    if (oldest > journal.first) await journal.release(oldest - 1);
  }
}

/** As `DeadLetters` lists it: no handler has seen it. */
export function deadJobOf({ id, payload, enqueuedAtMs, reason }: PoisonJob): DeadJob {
  return { id, payload: JSON.parse(payload), enqueuedAtMs, attempts: 0, reason, history: [] };
}

function recordOf({ topic, originEpoch, sequence }: StoredJob): string {
  return `${originEpoch} ${sequence} ${topic}`;
}

function encodeEntry(entry: Entry): Buffer {
  return Buffer.from(JSON.stringify(entry));
}

function readEntry(bytes: Uint8Array): Entry {
  const entry: Entry = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return entry;
}
