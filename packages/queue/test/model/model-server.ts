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
  /** The error that the server replies instead of executing the call. */
  refusal?: BackendError;
  /** Settles the call; set once the server has executed it. */
  reply?: () => void;
}

interface Saved {
  readonly entries: number;
  readonly owners: Topic['owners'];
  readonly marks: Topic['marks'];
}

const HOOKS = { nowMs: 0, poisonReason: () => undefined, added: () => undefined };

/** Counts the situations that a server has met, to detect stories that do not cover them. */
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

/** The server of the model: the story decides what it executes, and when. */
export class ModelServer {
  readonly topics = new Map<string, Topic>();
  readonly seen: Seen = { ...unseen };
  /** Publications of lost connections, which the server may still execute, in order. */
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

  /** Executes publications that were sent on lost connections. */
  executeLate(count: number): void {
    const before = this.seen.added;
    for (const publication of this.#late.splice(0, count)) {
      try {
        this.execute(publication);
      } catch (error) {
        // No caller receives the error.
        if (!(error instanceof BackendError)) throw error;
      }
    }
    this.seen.addedLate += this.seen.added - before;
  }

  arriveLate(publications: readonly Publication[]): void {
    this.#late.push(...publications);
  }

  /** Saves the state to the disk. */
  save(): void {
    this.#saved = new Map(
      [...this.topics].map(([name, { entries, owners, marks }]) => [
        name,
        { entries: entries.length, owners: new Map(owners), marks: new Map(marks) },
      ]),
    );
  }

  /** Restores jobs and marks as they were saved. */
  crash(): void {
    this.#late = [];
    for (const [name, topic] of this.topics) {
      const { entries, owners, marks } = this.#saved.get(name) ?? {
        entries: 0,
        owners: [],
        marks: [],
      };
      this.seen.forgotten += topic.entries.length - entries;
      topic.entries.length = entries;
      topic.owners = new Map(owners);
      topic.marks = new Map(marks);
    }
  }
}

const unsupported = (): never => {
  throw new Error('this model has no consumers');
};

/** The connection of one process to the server. */
export class ModelLink implements QueueBackend {
  readonly kind = 'redis';
  readonly subscribe = unsupported;
  readonly deadLetters = unsupported;
  readonly redrive = unsupported;
  readonly count = unsupported;
  readonly peek = unsupported;
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
   * Cuts the connection, or lets a connection attempt fail.
   * @param isQueueNotifiedFirst whether `disconnected` is reported before the pending calls reject.
   */
  cut(isQueueNotifiedFirst: boolean): void {
    const error = new BackendError('unreachable', 'the connection was cut');
    if (!this.#isUp) return this.#listener?.attemptFailed({ attempt: 1, delayMs: 1, error });
    const lost = this.#leave();
    if (isQueueNotifiedFirst) this.#listener?.disconnected({ error });
    for (const { reject } of lost) reject(error);
    if (!isQueueNotifiedFirst) this.#listener?.disconnected({ error });
  }

  /** The process has died. */
  abandon(): void {
    this.#leave();
    this.#listener = undefined;
  }

  /** The server executes the next call; its reply is in transit. */
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

  /** The oldest reply arrives. */
  reply(): boolean {
    const [oldest] = this.#inFlight;
    if (oldest?.reply === undefined && !this.execute()) return false;
    this.#inFlight.shift()?.reply?.();
    return true;
  }

  /** Lets one of the calls in flight be rejected, unless it was executed already. */
  refuse(position: number, error: BackendError): void {
    const call = this.#inFlight[position % Math.max(1, this.#inFlight.length)];
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
