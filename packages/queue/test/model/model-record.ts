import { OPERATIONS, type OperationKind } from '../../src/control/operation.ts';
import type { Acceptor } from '../../src/queue.ts';

const ACCEPTED = 1;
const ON_SERVER = 2;
const EXCUSED = 4;
const BY_FALLBACK = 8;

interface ModelEntry {
  readonly payload: string;
  readonly operation?: OperationKind;
  readonly attributes?: string;
}

/** Every third one is an operation on its topic, and some of the others have attributes. */
export function kindOf(job: number): { operation?: OperationKind; attributes?: string } {
  const operation = OPERATIONS[Math.floor(job / 3) % OPERATIONS.length];
  if (job % 3 === 0 && operation !== undefined) return { operation };
  return job % 5 === 0 ? { attributes: `attempts:${job}` } : {};
}

/** The server does not have what was accepted. */
export class BrokenPromise extends Error {}

/**
 * Records which jobs of one topic were accepted, and which ones the server has. Jobs are the numbers from 1 on, in
 * the order in which they were enqueued. The record knows nothing of marks, sequences or epochs.
 */
export class TopicRecord {
  readonly topic: string;
  #last = 0;
  #states: number[] = [0];
  #held: number[] = [];
  #answers: { readonly job: number; readonly by: Acceptor }[] = [];

  constructor(topic: string) {
    this.topic = topic;
  }

  next(): number {
    this.#last += 1;
    this.#states.push(0);
    return this.#last;
  }

  accepted(job: number, by: Acceptor): void {
    this.#answers.push({ job, by });
  }

  /**
   * Compares the record with the server.
   * @throws BrokenPromise for a duplicate, a job out of order, or an accepted job that is missing
   */
  check(entries: readonly ModelEntry[]): void {
    while (this.#held.length > entries.length) {
      this.#clear(this.#held.pop() ?? 0, ON_SERVER);
    }
    for (let at = this.#held.length; at < entries.length; at += 1) {
      const { payload, operation, attributes } = entries[at] ?? { payload: '0' };
      const job = Number(payload);
      const kind = kindOf(job);
      if (operation !== kind.operation || attributes !== kind.attributes) {
        this.#fail(`${job} is ${operation ?? 'a job'} with ${attributes ?? 'no attributes'}`);
      }
      this.#hold(job);
    }
    for (const { job, by } of this.#answers.splice(0)) {
      this.#set(job, by === 'redis' ? ACCEPTED : ACCEPTED | BY_FALLBACK);
      if (this.#is(job, ON_SERVER)) continue;
      if (by === 'redis') this.#fail(`${job} was confirmed, and the server does not hold it`);
      if (job < this.#newest)
        this.#fail(`${job} was accepted after ${this.#newest} went before it`);
    }
  }

  /** The process that retained jobs has died: jobs that only Redis had may be lost. */
  excuse(): void {
    for (let job = this.#newest + 1; job <= this.#last; job += 1) {
      if (this.#is(job, ACCEPTED) && !this.#is(job, BY_FALLBACK)) this.#set(job, EXCUSED);
    }
  }

  /** @throws BrokenPromise when an accepted job is missing although no job is pending */
  checkComplete(): void {
    for (let job = this.#newest + 1; job <= this.#last; job += 1) this.#requireNotOwed(job);
  }

  get #newest(): number {
    return this.#held.at(-1) ?? 0;
  }

  #hold(job: number): void {
    const before = this.#newest;
    if (this.#is(job, ON_SERVER)) this.#fail(`${job} was applied twice`);
    if (job <= before) this.#fail(`${job} was applied after ${before}`);
    for (let between = before + 1; between < job; between += 1) this.#requireNotOwed(between);
    this.#held.push(job);
    this.#set(job, ON_SERVER);
  }

  #requireNotOwed(job: number): void {
    if (this.#is(job, ACCEPTED) && !this.#is(job, EXCUSED)) {
      this.#fail(`${job} was accepted, and is missing behind ${this.#newest}`);
    }
  }

  #is(job: number, state: number): boolean {
    return ((this.#states[job] ?? 0) & state) !== 0;
  }

  #set(job: number, state: number): void {
    this.#states[job] = (this.#states[job] ?? 0) | state;
  }

  #clear(job: number, state: number): void {
    this.#states[job] = (this.#states[job] ?? 0) & ~state;
  }

  #fail(message: string): never {
    throw new BrokenPromise(`${this.topic}: ${message}`);
  }
}
