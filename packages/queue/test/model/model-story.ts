import { setImmediate as nextTurn } from 'node:timers/promises';
import { createEmitter, seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { Backlog } from '../../src/fallback/backlog.ts';
import { Producer } from '../../src/producer/producer.ts';
import { BackendError } from '../../src/errors.ts';
import { PoisonStore } from '../../src/fallback/poison-store.ts';
import type { QueueEvents } from '../../src/queue.ts';
import { ModelDisk } from './model-disk.ts';
import { TopicRecord, kindOf } from './model-record.ts';
import { ModelLink, ModelServer, type Seen } from './model-server.ts';
import { queueEventKinds } from '../../src/state/queue-events.ts';
import { RemainingDelays } from '../../src/state/remaining-delays.ts';

export type Step =
  | { readonly kind: 'enqueue'; readonly topic: number; readonly count: number }
  /** Calls in flight are executed, and their replies arrive. */
  | { readonly kind: 'answer'; readonly count: number }
  /** Calls in flight are executed; a later step decides on their replies. */
  | { readonly kind: 'execute'; readonly count: number }
  | { readonly kind: 'late'; readonly count: number }
  | {
      readonly kind: 'refuse';
      readonly position: number;
      readonly errorClass: 'busy' | 'unreachable' | 'denied';
    }
  | { readonly kind: 'cut'; readonly isQueueNotifiedFirst: boolean }
  | { readonly kind: 'connect' | 'save' | 'forget' | 'give-up' | 'rest' }
  | { readonly kind: 'stall' | 'flush' | 'fail-disk' }
  | { readonly kind: 'crash'; readonly torn: number }
  | { readonly kind: 'pass-time'; readonly byMs: number };

const RETAIN_MS = 60_000;
/** The turns within which all jobs settle once nothing is broken any more. */
const REST_WITHIN = 10_000;
const UNBOUNDED = 1_000_000_000;

interface Owner {
  readonly link: ModelLink;
  readonly clock: FakeClock;
  readonly backlog: Backlog;
  readonly producer: Producer;
}

/** One journal, one server, and one owner of the journal after the other. */
export class Story {
  readonly #acknowledge: 'local' | 'redis';
  readonly #disk = new ModelDisk();
  readonly #server = new ModelServer();
  readonly #records = new Map<string, TopicRecord>();
  #owner!: Owner;
  #earlierMs = 0;
  #savedAtMs = 0;
  /** The time of the oldest job that the server may have lost, until it has them again. */
  #forgottenSinceMs: number | undefined;
  #impatience = new AbortController();

  private constructor(acknowledge: 'local' | 'redis') {
    this.#acknowledge = acknowledge;
  }

  static async begin(acknowledge: 'local' | 'redis'): Promise<Story> {
    const story = new Story(acknowledge);
    story.#owner = await story.#nextOwner();
    return story;
  }

  get seen(): Seen {
    return this.#server.seen;
  }

  /** @throws BrokenPromise */
  async play(step: Step): Promise<void> {
    await this.#do(step);
    await nextTurn();
    this.#check();
  }

  /** Repairs everything and waits until no job is pending. @throws BrokenPromise when a job is missing then */
  async rest(): Promise<void> {
    const { link, clock, backlog, producer } = this.#owner;
    this.#disk.isStalled = false;
    this.#disk.isFailing = false;
    const isAtRest = (): boolean =>
      link.inFlight === 0 &&
      backlog.size === 0 &&
      producer.state.counts.pending === 0 &&
      producer.state.machine.state === 'direct';
    link.connect();
    for (let turn = 0; !isAtRest(); turn += 1) {
      if (turn === REST_WITHIN) throw new Error(`the queue stays ${producer.state.machine.state}`);
      this.#disk.flush();
      if (link.inFlight === 0) await clock.advance(100);
      while (link.reply());
      await nextTurn();
    }
    this.#check();
    for (const record of this.#records.values()) record.checkComplete();
  }

  async #do(step: Step): Promise<void> {
    const { link } = this.#owner;
    switch (step.kind) {
      case 'enqueue':
        return this.#enqueue(`topic-${step.topic}`, step.count);
      case 'answer':
        for (let count = 0; count < step.count && link.reply(); count += 1);
        return;
      case 'execute':
        for (let count = 0; count < step.count && link.execute(); count += 1);
        return;
      case 'late':
        return this.#server.executeLate(step.count);
      case 'refuse':
        return link.refuse(step.position, new BackendError(step.errorClass, 'not now'));
      case 'cut':
        return link.cut(step.isQueueNotifiedFirst);
      case 'connect':
        return link.connect();
      case 'save':
        return this.#save();
      case 'forget':
        link.cut(true);
        this.#server.crash();
        this.#forgottenSinceMs ??= this.#savedAtMs;
        return;
      case 'give-up':
        this.#impatience.abort(new Error('the caller has given up'));
        this.#impatience = new AbortController();
        return;
      case 'stall':
        this.#disk.isStalled = true;
        return;
      case 'flush':
        this.#disk.isStalled = false;
        return this.#disk.flush();
      case 'fail-disk':
        this.#disk.isFailing = true;
        return;
      case 'crash':
        return this.#crash(step.torn);
      case 'pass-time':
        return this.#passTime(step.byMs);
      case 'rest':
        return this.rest();
    }
  }

  #enqueue(topic: string, count: number): void {
    const record = this.#records.get(topic) ?? new TopicRecord(topic);
    this.#records.set(topic, record);
    const { producer } = this.#owner;
    for (let added = 0; added < count; added += 1) {
      const job = record.next();
      const payload = String(job);
      const submission = {
        topic,
        payload,
        id: payload,
        unique: false,
        enqueuedAtMs: 0,
        dueAtMs: 0,
        ...kindOf(job),
      };
      const signal = job % 16 === 0 ? this.#impatience.signal : undefined;
      producer.submit(submission, signal).then(
        ({ accepted }) => record.accepted(job, accepted),
        // Rejected: the server may have it or not.
        () => undefined,
      );
    }
  }

  #check(): void {
    for (const [name, record] of this.#records) {
      record.check(this.#server.topics.get(name)?.entries ?? []);
    }
    if (this.#owner.producer.state.machine.state === 'direct') this.#forgottenSinceMs = undefined;
  }

  get #nowMs(): number {
    return this.#earlierMs + this.#owner.clock.now();
  }

  #save(): void {
    this.#server.save();
    this.#savedAtMs = this.#nowMs;
  }

  async #crash(torn: number): Promise<void> {
    const { link, clock } = this.#owner;
    link.abandon();
    this.#disk.tear(torn);
    this.#earlierMs += clock.now();
    if (this.#acknowledge === 'redis') {
      // Jobs that went to Redis directly are retained in memory, which is lost with the process.
      for (const record of this.#records.values()) record.excuse();
      this.#server.save();
      this.#savedAtMs = this.#earlierMs;
    }
    this.#owner = await this.#nextOwner();
  }

  /** Keeps to the time for which lost jobs are retained. */
  async #passTime(byMs: number): Promise<void> {
    if (this.#forgottenSinceMs === undefined && this.#nowMs - this.#savedAtMs > RETAIN_MS / 3) {
      this.#save();
    }
    const since = this.#forgottenSinceMs ?? this.#savedAtMs;
    if (this.#nowMs + byMs - since < RETAIN_MS / 2) await this.#owner.clock.advance(byMs);
  }

  async #nextOwner(): Promise<Owner> {
    const link = new ModelLink(this.#server);
    const clock = createFakeClock();
    const backlog = new Backlog({ journal: this.#disk.open(), clock, retainMs: RETAIN_MS });
    const producer = new Producer({
      delays: new RemainingDelays(clock),
      backend: link,
      backlog,
      poison: new PoisonStore({ open: () => Promise.reject(new Error('no poison')), maxJobs: 1 }),
      fallback: 'journal',
      events: createEmitter<QueueEvents>('holdfast:queue', queueEventKinds),
      clock,
      random: seededRandom(7),
      maxTopics: 10,
      maxPendingJobs: UNBOUNDED,
      maxPendingBytes: UNBOUNDED,
      retainMs: RETAIN_MS,
      maxRetainedBytes: UNBOUNDED,
      acknowledge: this.#acknowledge,
      topics: new Map(),
    });
    await producer.open();
    link.open({
      connected: () => producer.monitor.connected(),
      attemptFailed: ({ error }) => producer.monitor.failed(error),
      disconnected: ({ error }) => producer.monitor.failed(error),
    });
    return { link, clock, backlog, producer };
  }
}
