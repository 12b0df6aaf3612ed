import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, systemClock } from '@holdfast/foundation';
import type {
  BackendFailure,
  DeadLetter,
  Delivery,
  ConnectionListener,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  PublishedJob,
  QueueBackend,
  RecoveredDeliveries,
  Subscription,
  TopicCounts,
} from '../../src/backend.ts';
import { BackendError } from '../../src/errors.ts';
import { subqueueOf, isPartition, selectNext } from '../../src/producer/scheduling.ts';
import {
  type Entry,
  type Topic,
  emptyTopic,
  freshHandle,
  giveBack,
  hand,
  peekInto,
  delayRetry,
  publishInto,
} from './fake-topic.ts';

type Fault =
  | { readonly kind: 'refused'; readonly error: BackendError }
  | { readonly kind: 'reply-lost' };

/**
 * An in-memory backend that behaves like the Lua scripts and streams, with faults on demand. The same contract is
 * tested with it and with real servers.
 */
export class FakeBackend implements QueueBackend {
  readonly kind = 'redis';
  /** Every job in the order it was applied, by topic. */
  readonly applied: Map<string, string[]>;
  readonly dead: { id: string; reason: string }[] = [];
  readonly #clock: Clock;
  readonly #name: string;
  readonly #letters = new Map<string, DeadLetter[]>();
  readonly topics: Map<string, Topic>;
  /** Resolves once the queue has opened the backend. */
  readonly opened: Promise<void>;
  #resolveOpened!: () => void;
  #listener: ConnectionListener | undefined;
  #isUp = false;
  /** The number of lost connections: publications in flight on an earlier one get no reply. */
  #generation = 0;
  #isClosed = false;
  #faults: Fault[] = [];
  #refusal: BackendError | undefined;
  #settlingRefusal: BackendError | undefined;
  #poisonReason: (job: PublishedJob) => string | undefined = () => undefined;
  #awaitingUp = new Set<() => void>();
  #awaitingJobs = new Set<() => void>();
  #removed: Entry[] = [];
  #consumers = 0;

  /** @param server another backend whose server this one shares; default: a server of its own. */
  constructor(server?: FakeBackend, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#name = server === undefined ? 'consumer' : `consumer-of-${freshHandle()}`;
    this.applied = server?.applied ?? new Map();
    this.topics = server?.topics ?? new Map();
    this.opened = new Promise((resolve) => {
      this.#resolveOpened = resolve;
    });
  }

  open(listener: ConnectionListener): void {
    this.#listener = listener;
    this.#resolveOpened();
    if (this.#isUp) listener.connected({ attempt: 1 });
  }

  /** Brings the server up. */
  up(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    for (const proceed of this.#awaitingUp) proceed();
    this.#awaitingUp.clear();
    this.#listener?.connected({ attempt: 1 });
  }

  /** Takes the server down. */
  down(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#generation += 1;
    this.#listener?.disconnected({ error: new BackendError('unreachable', 'it was taken down') });
  }

  /** Lets one connection attempt fail. */
  failAttempt(error: BackendFailure): void {
    this.#listener?.attemptFailed({ attempt: 1, delayMs: 1, error });
  }

  /** The next publication is applied, but its reply never arrives. */
  loseNextReply(): void {
    this.#faults.push({ kind: 'reply-lost' });
  }

  /** The next publication is rejected. */
  refuseNext(error: BackendError): void {
    this.#faults.push({ kind: 'refused', error });
  }

  /** Every publication is rejected, until called with `undefined`. */
  refuseAll(error: BackendError | undefined): void {
    this.#refusal = error;
  }

  /** Rejects dead letters and retries, until called with `undefined`. */
  refuseSettling(error: BackendError | undefined): void {
    this.#settlingRefusal = error;
  }

  /** Called for each job before it is added: a reason makes it poison. */
  refuseJobs(reasonFor: (job: PublishedJob) => string | undefined): void {
    this.#poisonReason = reasonFor;
  }

  /** A crash without persistence. */
  forget(): void {
    this.topics.clear();
  }

  /** Saves the state of the server; calling the result is a crash that loses all later changes. */
  sync(): () => void {
    const topics = [...this.topics].map(
      ([name, { entries, delayed, owners, marks, ids, partitions, roundRobin }]): [
        string,
        Topic,
      ] => [
        name,
        {
          partitions,
          roundRobin,
          entries: entries.map((entry) => Object.assign({}, entry)),
          delayed: [...delayed],
          owners: new Map(owners),
          marks: new Map(marks),
          ids: new Set(ids),
        },
      ],
    );
    const applied = [...this.applied].map(([name, jobs]): [string, string[]] => [name, [...jobs]]);
    return () => {
      this.down();
      this.topics.clear();
      this.applied.clear();
      for (const [name, topic] of topics) this.topics.set(name, topic);
      for (const [name, jobs] of applied) this.applied.set(name, [...jobs]);
    };
  }

  async whenConnected(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isUp) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#awaitingUp.delete(resolve);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#awaitingUp.add(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }

  async publish(publication: Publication): Promise<PublishReceipt> {
    this.#requireUp();
    const fault = this.#faults.shift();
    const refusal = this.#refusal ?? (fault?.kind === 'refused' ? fault.error : undefined);
    // A round trip takes a turn of the event loop, in which more jobs may be enqueued.
    const generation = this.#generation;
    await nextTurn();
    if (generation !== this.#generation) throw new BackendError('unreachable', 'connection lost');
    if (refusal !== undefined) throw refusal;
    const receipt = this.#apply(publication);
    if (fault?.kind === 'reply-lost') {
      const error = new BackendError('unreachable', 'the reply was lost');
      this.down();
      this.up();
      throw error;
    }
    return receipt;
  }

  subscribe(topic: string, leaseMs: number): Subscription {
    this.#consumers += 1;
    const me = `${this.#name}-${this.#consumers}`;
    return {
      whenConnected: (signal) => this.whenConnected(signal),
      fetch: (max) => this.#fetch(topic, me, max),
      recover: async (held, max, mayTakeOver = true) =>
        this.#recover(topic, me, mayTakeOver ? leaseMs : Infinity, { held, max }),
      acknowledge: async (handles) => this.#remove(topic, me, handles),
      deadLetter: async (delivery, reason) => {
        if (this.#settlingRefusal !== undefined) throw this.#settlingRefusal;
        this.#remove(topic, me, [delivery.handle]);
        this.dead.push({ id: delivery.id, reason });
        const { handle: _, history = [], ...job } = delivery;
        const letter = { ...job, reason, history };
        this.#letters.set(topic, [...(this.#letters.get(topic) ?? []), letter]);
      },
      retryLater: async (delivery, delayMs) => {
        this.#requireUp();
        if (this.#settlingRefusal !== undefined) throw this.#settlingRefusal;
        return delayRetry(this.#topic(topic), me, delivery, this.#clock.now() + delayMs);
      },
      release: async (jobs) => {
        this.#requireUp();
        for (const job of jobs) giveBack(this.#topic(topic), me, job);
        this.#wake();
      },
      close: async (held = []) => {
        if (!this.#isUp) return;
        for (const { handle, deliveries } of this.#topic(topic).entries) {
          const before = { handle, deliveries: deliveries - 1 };
          if (!held.includes(handle)) giveBack(this.#topic(topic), me, before);
        }
        this.#wake();
      },
    };
  }

  async deadLetters(topic: string, limit: number): Promise<DeadLetter[]> {
    this.#requireUp();
    return (this.#letters.get(topic) ?? []).slice(0, limit);
  }

  async redrive(topic: string, limit: number, ids?: readonly string[]): Promise<number> {
    this.#requireUp();
    const letters = this.#letters.get(topic) ?? [];
    const chosen = letters.filter(({ id }) => ids?.includes(id) ?? true).slice(0, limit);
    this.#letters.set(
      topic,
      letters.filter((letter) => !chosen.includes(letter)),
    );
    for (const { history, reason, ...job } of chosen) {
      const entry = { ...job, handle: freshHandle(), deliveries: 0 };
      this.#topic(topic).entries.push({ ...entry, history: [...history, reason] });
    }
    this.#wake();
    return chosen.length;
  }

  async count(name: string): Promise<TopicCounts> {
    const size = (kind: PeekedKind): number => peekInto(this.#topic(name), kind, 0).length;
    const dead = this.#letters.get(name)?.length ?? 0;
    return { waiting: size('waiting'), pending: size('pending'), delayed: size('delayed'), dead };
  }

  async peek(name: string, kind: PeekedKind, limit: number): Promise<PeekedJob[]> {
    this.#requireUp();
    const epochOffsetMs = this.#clock.epochMs() - this.#clock.now();
    return peekInto(this.#topic(name), kind, epochOffsetMs).slice(0, limit);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
  }

  /** Loses the last acknowledgements of a topic: the removed jobs are back. */
  remember(topic: string): void {
    for (const { handle, id, payload, enqueuedAtMs } of this.#removed) {
      this.#topic(topic).entries.push({ handle, id, payload, enqueuedAtMs, deliveries: 0 });
    }
    this.#wake();
  }

  /** Assigns all deliveries to another consumer, as after an expired lease. */
  steal(topic: string): void {
    for (const entry of this.#topic(topic).entries) {
      if (entry.owner !== undefined) entry.owner = 'a thief';
    }
  }

  #apply(publication: Publication): PublishReceipt {
    const { topic: name } = publication;
    const receipt = publishInto(this.#topic(name), publication, {
      nowMs: this.#clock.now(),
      poisonReason: (job) => this.#poisonReason(job),
      added: ({ payload }) => this.#appliedOf(name).push(payload),
    });
    this.#wake();
    return receipt;
  }

  async #fetch(name: string, me: string, max: number): Promise<Delivery[]> {
    this.#requireUp();
    this.#promote(name);
    const next = this.#next(name, max);
    if (next.length > 0 || this.#isClosed)
      return next.map((entry) => hand(entry, me, this.#clock.now()));
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#awaitingJobs.delete(wake);
        resolve();
      };
      this.#awaitingJobs.add(wake);
      setImmediate(wake);
    });
    this.#requireUp();
    return this.#next(name, max).map((entry) => hand(entry, me, this.#clock.now()));
  }

  /** The jobs to deliver next. */
  #next(name: string, max: number): Entry[] {
    const { entries, partitions, roundRobin } = this.#topic(name);
    const subqueue = ({ routing }: Entry): string => subqueueOf(routing, partitions);
    const isFree = ({ owner }: Entry): boolean => owner === undefined;
    const owned = entries.filter((entry) => !isFree(entry)).map(subqueue);
    const busy = new Set(owned.filter(isPartition));
    return selectNext(entries.filter(isFree), subqueue, busy, { roundRobin, max });
  }

  #promote(name: string): void {
    const topic = this.#topic(name);
    const nowMs = this.#clock.now();
    const due = topic.delayed.filter(({ dueAtMs }) => dueAtMs <= nowMs);
    topic.delayed = topic.delayed.filter(({ dueAtMs }) => dueAtMs > nowMs);
    const inOrder = due.toSorted((one, other) => one.dueAtMs - other.dueAtMs);
    topic.entries.push(...inOrder.map(({ entry }) => entry));
  }

  #recover(
    name: string,
    me: string,
    leaseMs: number,
    { held, max }: { held: readonly string[]; max: number },
  ): RecoveredDeliveries {
    this.#requireUp();
    const { entries } = this.#topic(name);
    const nowMs = this.#clock.now();
    const isExpired = ({ owner, leasedAtMs = nowMs }: Entry): boolean =>
      owner !== undefined && owner !== me && nowMs - leasedAtMs >= leaseMs;
    const isHeld = ({ handle }: Entry): boolean => held.includes(handle);
    for (const entry of entries) {
      if (entry.owner === me && isHeld(entry)) entry.leasedAtMs = nowMs;
    }
    const orphans = entries.filter((entry) => entry.owner === me && !isHeld(entry)).slice(0, max);
    const expired = entries.filter(isExpired).slice(0, max - orphans.length);
    for (const entry of expired) delete entry.owner;
    const isLost = (entry: Entry): boolean =>
      isHeld(entry) && entry.owner !== undefined && entry.owner !== me;
    return {
      lost: entries.filter(isLost).map(({ handle }) => handle),
      deliveries: [...orphans, ...expired].map((entry) => hand(entry, me, this.#clock.now())),
    };
  }

  #remove(name: string, me: string, handles: readonly string[]): void {
    this.#requireUp();
    const topic = this.#topic(name);
    const isRemoved = ({ handle, owner }: Entry): boolean =>
      owner === me && handles.includes(handle);
    this.#removed = topic.entries.filter(isRemoved);
    topic.entries = topic.entries.filter((entry) => !isRemoved(entry));
  }

  #topic(name: string): Topic {
    const known = this.topics.get(name);
    if (known !== undefined) return known;
    const topic = emptyTopic();
    this.topics.set(name, topic);
    return topic;
  }

  #appliedOf(name: string): string[] {
    const known = this.applied.get(name) ?? [];
    this.applied.set(name, known);
    return known;
  }

  #wake(): void {
    for (const wake of this.#awaitingJobs) wake();
  }

  #requireUp(): void {
    if (!this.#isUp) throw new BackendError('unreachable', 'it is down');
  }
}
