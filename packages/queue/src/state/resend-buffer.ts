import { type Clock, LinkedList, ListNode, type Timer } from '@holdfast/foundation';
import type { PublishedJob } from '../backend.ts';

interface RetentionOptions {
  readonly clock: Clock;
  readonly retainMs: number;
  /** The characters of payload that the buffers of all topics may hold together. */
  readonly maxCharacters: number;
  /** When the connection was lost: what was confirmed within the retention time before that may still be needed. */
  readonly lostAtMs: () => number | undefined;
}

class Batch extends ListNode {
  readonly jobs: readonly PublishedJob[];
  readonly characters: number;
  readonly buffer: ResendBuffer;
  confirmedAtMs: number;

  constructor(jobs: readonly PublishedJob[], buffer: ResendBuffer, nowMs: number) {
    super();
    this.jobs = jobs;
    this.characters = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
    this.buffer = buffer;
    this.confirmedAtMs = nowMs;
  }
}

/**
 * The recently confirmed jobs of all topics, the oldest first: their time ends whether their topic is idle or not, and
 * when they are too many, the oldest of all are given up.
 */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #batches = new LinkedList<Batch>();
  #characters = 0;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** The characters of payload that are held. */
  get characters(): number {
    return this.#characters;
  }

  /** Jobs whose retention time had passed at this moment are not sent again. */
  isInTime({ confirmedAtMs }: { readonly confirmedAtMs: number }, untilMs: number): boolean {
    return confirmedAtMs + this.#options.retainMs >= untilMs;
  }

  /** Keeps jobs that are confirmed now. */
  add(buffer: ResendBuffer, jobs: readonly PublishedJob[]): void {
    const { clock, retainMs, maxCharacters } = this.#options;
    if (retainMs === 0 || jobs.length === 0 || this.#isClosed) return;
    const batch = new Batch(jobs, buffer, clock.now());
    buffer.batches.push(batch);
    this.#batches.append(batch);
    this.#characters += batch.characters;
    this.#dropExpired();
    while (this.#characters > maxCharacters) this.#dropOldest();
    this.#schedule();
  }

  /** Keeps these jobs as if they were confirmed now, because they are sent again. */
  touch(buffer: ResendBuffer): void {
    const nowMs = this.#options.clock.now();
    for (const batch of buffer.batches) {
      batch.confirmedAtMs = nowMs;
      this.#batches.remove(batch);
      this.#batches.append(batch);
    }
  }

  /** Keeps nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    const oldest = this.#batches.first;
    if (this.#timer !== undefined || oldest === undefined || this.#isClosed) return;
    const { clock, retainMs } = this.#options;
    const delayMs = Math.max(1, oldest.confirmedAtMs + retainMs + 1 - clock.now());
    const onTime = (): void => {
      this.#timer = undefined;
      this.#dropExpired();
      this.#schedule();
    };
    // While the connection is lost nothing expires: the timer then runs once in a retention time.
    const pauseMs = this.#options.lostAtMs() === undefined ? delayMs : retainMs;
    this.#timer = clock.schedule(pauseMs, onTime, { holdsProcess: false });
  }

  #dropExpired(): void {
    const untilMs = this.#options.lostAtMs() ?? this.#options.clock.now();
    let oldest = this.#batches.first;
    while (oldest !== undefined && !this.isInTime(oldest, untilMs)) {
      this.#dropOldest();
      oldest = this.#batches.first;
    }
  }

  #dropOldest(): void {
    const oldest = this.#batches.first;
    if (oldest === undefined) return;
    this.#batches.remove(oldest);
    this.#characters -= oldest.characters;
    // The oldest of all is the oldest of its topic.
    oldest.buffer.batches.shift();
  }
}

/** One topic's recently confirmed jobs, to be sent again when Redis comes back without them. */
export class ResendBuffer {
  /** The oldest first; changed by the retention only. */
  readonly batches: Batch[] = [];
  readonly #retention: Retention;

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  /** Adds jobs that are confirmed now. */
  add(jobs: readonly PublishedJob[]): void {
    this.#retention.add(this, jobs);
  }

  /** The lowest sequence that may be sent again; reads one entry of each batch only. */
  oldestSequence(untilMs: number): number | undefined {
    return this.#inTime(untilMs)[0]?.jobs[0]?.sequence;
  }

  /** The jobs above `sequence` that were confirmed within the retention time before `untilMs`. */
  confirmedAfter(sequence: number, untilMs: number): PublishedJob[] {
    return this.#inTime(untilMs).flatMap(({ jobs }) =>
      jobs.filter((job) => job.sequence > sequence),
    );
  }

  /** Marks all jobs as confirmed now, because they are sent again. */
  touch(): void {
    this.#retention.touch(this);
  }

  #inTime(untilMs: number): readonly Batch[] {
    const first = this.batches.findIndex((batch) => this.#retention.isInTime(batch, untilMs));
    return first === -1 ? [] : this.batches.slice(first);
  }
}
