import type {
  ConnectionListener,
  Publication,
  PublishReceipt,
  QueueBackend,
} from '../../src/backend.ts';
import { BackendError } from '../../src/errors.ts';
import { type Topic, emptyTopic, publishInto } from '../fake/fake-topic.ts';

interface Call {
  readonly publication: Publication;
  readonly resolve: (receipt: PublishReceipt) => void;
  readonly reject: (error: unknown) => void;
  /** What the server will answer instead of doing it. */
  refusal?: BackendError;
  /** Answers the caller; there once the server has executed it. */
  reply?: () => void;
}

interface Saved {
  readonly entries: number;
  readonly marks: Topic['marks'];
}

const HOOKS = { poisonReason: () => undefined, added: () => undefined };

/** What a server has come by, so that a story without the moments it is about is noticed. */
export interface Seen {
  /** Jobs. */
  added: number;
  resent: number;
  addedLate: number;
  forgotten: number;
  /** Publications. */
  behindOthers: number;
  refusedBehindGap: number;
  refusedOfFormerOwner: number;
}

export const unseen: Seen = {
  added: 0,
  resent: 0,
  addedLate: 0,
  forgotten: 0,
  behindOthers: 0,
  refusedBehindGap: 0,
  refusedOfFormerOwner: 0,
};

/** The server of a model: what it does, and when, is said by the story. */
export class ModelServer {
  readonly topics = new Map<string, Topic>();
  readonly seen: Seen = { ...unseen };
  /** Publications of links that are gone, which it may still execute, in their order. */
  #late: Publication[] = [];
  #saved = new Map<string, Saved>();

  execute(publication: Publication): PublishReceipt {
    const topic = this.topics.get(publication.topic) ?? emptyTopic();
    this.topics.set(publication.topic, topic);
    const before = topic.entries.length;
    try {
      const receipt = publishInto(topic, publication, HOOKS);
      this.seen.resent += receipt.alreadyApplied;
      this.seen.added += topic.entries.length - before;
      return receipt;
    } catch (error) {
      const isFenced = error instanceof BackendError && error.errorClass === 'fenced';
      this.seen[isFenced ? 'refusedOfFormerOwner' : 'refusedBehindGap'] += 1;
      throw error;
    }
  }

  /** It reads what a link had sent before it went. */
  executeLate(count: number): void {
    const before = this.seen.added;
    for (const publication of this.#late.splice(0, count)) {
      try {
        this.execute(publication);
      } catch (error) {
        // Nobody hears of a refusal.
        if (!(error instanceof BackendError)) throw error;
      }
    }
    this.seen.addedLate += this.seen.added - before;
  }

  arriveLate(publications: readonly Publication[]): void {
    this.#late.push(...publications);
  }

  /** Everything is on its disk. */
  save(): void {
    this.#saved = new Map(
      [...this.topics].map(([name, { entries, marks }]) => [
        name,
        { entries: entries.length, marks: new Map(marks) },
      ]),
    );
  }

  /** Jobs and marks are as they were when it saved them. */
  crash(): void {
    this.#late = [];
    for (const [name, topic] of this.topics) {
      const { entries, marks } = this.#saved.get(name) ?? { entries: 0, marks: [] };
      this.seen.forgotten += topic.entries.length - entries;
      topic.entries.length = entries;
      topic.marks = new Map(marks);
    }
  }
}

const consumes = (): never => {
  throw new Error('nobody consumes in this model');
};

/** One process's link to the server. */
export class ModelLink implements QueueBackend {
  readonly kind = 'redis';
  readonly subscribe = consumes;
  readonly deadLetters = consumes;
  readonly redrive = consumes;
  readonly count = consumes;
  readonly peek = consumes;
  readonly #server: ModelServer;
  #listener: ConnectionListener | undefined;
  #isUp = false;
  #inFlight: Call[] = [];
  #awaitingUp: (() => void)[] = [];

  constructor(server: ModelServer) {
    this.#server = server;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  open(listener: ConnectionListener): void {
    this.#listener = listener;
  }

  whenConnected(): Promise<void> {
    if (this.#isUp) return Promise.resolve();
    return new Promise((resolve) => this.#awaitingUp.push(resolve));
  }

  publish(publication: Publication): Promise<PublishReceipt> {
    if (!this.#isUp) return Promise.reject(new BackendError('unreachable', 'it is down'));
    return new Promise((resolve, reject) => {
      const isBehind = this.#inFlight.some((call) => call.publication.topic === publication.topic);
      if (isBehind) this.#server.seen.behindOthers += 1;
      this.#inFlight.push({ publication, resolve, reject });
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  connect(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    for (const proceed of this.#awaitingUp.splice(0)) proceed();
    this.#listener?.connected({ attempt: 1 });
  }

  /**
   * The link is cut, or the attempt to have one fails.
   * @param isToldFirst whether the queue hears of it before those who wait for an answer.
   */
  cut(isToldFirst: boolean): void {
    const error = new BackendError('unreachable', 'the link was cut');
    if (!this.#isUp) return this.#listener?.attemptFailed({ attempt: 1, delayMs: 1, error });
    const lost = this.#leave();
    if (isToldFirst) this.#listener?.disconnected({ error });
    for (const { reject } of lost) reject(error);
    if (!isToldFirst) this.#listener?.disconnected({ error });
  }

  /** The process is gone. */
  abandon(): void {
    this.#leave();
    this.#listener = undefined;
  }

  /** The server executes what it has been sent next; its answer is on its way. */
  execute(): boolean {
    const call = this.#inFlight.find(({ reply }) => reply === undefined);
    if (call === undefined) return false;
    const { publication, refusal, resolve, reject } = call;
    try {
      if (refusal !== undefined) throw refusal;
      const receipt = this.#server.execute(publication);
      call.reply = () => resolve(receipt);
    } catch (error) {
      call.reply = () => reject(error);
    }
    return true;
  }

  /** The oldest answer arrives. */
  reply(): boolean {
    const [oldest] = this.#inFlight;
    if (oldest?.reply === undefined && !this.execute()) return false;
    this.#inFlight.shift()?.reply?.();
    return true;
  }

  /** One of what is in flight, wherever it stands, will be refused, unless it was executed already. */
  refuse(place: number, error: BackendError): void {
    const call = this.#inFlight[place % Math.max(1, this.#inFlight.length)];
    if (call !== undefined) call.refusal = error;
  }

  #leave(): Call[] {
    this.#isUp = false;
    const left = this.#inFlight;
    this.#inFlight = [];
    const unread = left.filter(({ reply }) => reply === undefined);
    this.#server.arriveLate(unread.map(({ publication }) => publication));
    return left;
  }
}
