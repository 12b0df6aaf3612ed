import type { Journal } from '@holdfast/journal';
import type { DeadJob } from '../queue.ts';
import type { StoredJob } from './record.ts';

/** A job that Redis rejected individually, after the fallback had accepted it. */
interface PoisonJob extends StoredJob {
  readonly reason: string;
}

type Entry =
  | { readonly kind: 'poison'; readonly job: PoisonJob }
  | { readonly kind: 'redriven'; readonly sequence: number };

interface PoisonStoreDeps {
  /** Opens the journal of the poison jobs; called when it exists, or for the first poison job. */
  readonly open: () => Promise<Journal>;
  readonly maxJobs: number;
}

/**
 * Stores poison jobs as durably as the fallback stores the others. A redriven job stays known until the store is
 * opened again, because the fallback may still hold its first record, which must not be sent.
 */
export class PoisonStore {
  readonly #deps: PoisonStoreDeps;
  readonly #jobs = new Map<number, PoisonJob>();
  readonly #known = new Set<string>();
  #journal: Promise<Journal> | undefined;

  constructor(deps: PoisonStoreDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Loads the jobs that earlier owners have stored. */
  async load(): Promise<void> {
    const journal = await this.#opened();
    let from = journal.first;
    while (true) {
      const records = await journal.read(from);
      for (const { sequence, payload } of records) this.#replay(sequence, parseEntry(payload));
      const last = records.at(-1);
      if (last === undefined) break;
      from = last.sequence + 1;
    }
    await this.#releasePrefix(journal);
  }

  /** Whether this record of the fallback is poison, also when it was redriven since. */
  has(job: StoredJob): boolean {
    return this.#known.size > 0 && this.#known.has(recordOf(job));
  }

  /** Resolves once the job is durable. @throws the errors of the journal */
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
    while (this.#jobs.size > this.#deps.maxJobs) {
      const [oldest] = this.#jobs.keys();
      if (oldest !== undefined) this.#jobs.delete(oldest);
      await this.#releasePrefix(journal);
    }
  }

  /** The jobs of the topic, the oldest first. */
  of(topic: string): { readonly sequence: number; readonly job: PoisonJob }[] {
    return [...this.#jobs]
      .filter(([, job]) => job.topic === topic)
      .map(([sequence, job]) => ({ sequence, job }));
  }

  /** Removes a job that was redriven. */
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
    this.#journal ??= this.#deps.open();
    // Opening is retried at the next call: a full disk may have room by then.
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

  /** Releases the records before the oldest stored job. */
  async #releasePrefix(journal: Journal): Promise<void> {
    const [oldest = journal.next] = this.#jobs.keys();
    if (oldest > journal.first) await journal.release(oldest - 1);
  }
}

/** The job as `DeadLetters` lists it; no handler has run it. */
export function deadJobOf({ id, payload, enqueuedAtMs, reason }: PoisonJob): DeadJob {
  return { id, payload: JSON.parse(payload), enqueuedAtMs, attempts: 0, reason, history: [] };
}

function recordOf({ topic, originEpoch, originNonce = '', sequence }: StoredJob): string {
  return `${originEpoch} ${originNonce} ${sequence} ${topic}`;
}

function encodeEntry(entry: Entry): Buffer {
  return Buffer.from(JSON.stringify(entry));
}

function parseEntry(bytes: Uint8Array): Entry {
  const entry: Entry = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return entry;
}
