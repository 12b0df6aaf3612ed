import type { LinkListener } from '../backend.ts';
import { BackendError } from '../errors.ts';
import { RedisLink, type LinkTuning } from './link.ts';
import type { RouteTo } from './route.ts';
import { slotOfTopic } from './slot.ts';

/** The links of one backend: which of them a topic's keys are reached on. */
export interface Links {
  open(listener: LinkListener): void;
  /** Resolves once each of them is up; rejects with the signal's own reason. */
  whenUp(signal: AbortSignal): Promise<void>;
  /** The link for what is published and told. */
  of(topic: string): RedisLink;
  /** A new link for one consumer's waiting; the caller opens and closes it. */
  fetching(topic: string): RedisLink;
  close(): Promise<void>;
}

/** One server serves all topics. */
export function oneLink(routeTo: RouteTo, tuning: LinkTuning): Links {
  const link = new RedisLink(routeTo(), tuning);
  return {
    open: (listener) => link.open(listener),
    whenUp: (signal) => link.whenUp(signal),
    of: () => link,
    fetching: () => new RedisLink(routeTo(), tuning),
    close: () => link.close(),
  };
}

/**
 * A cluster: one link a topic, to the node that serves its slot. What becomes of one concerns all: the
 * queue counts Redis as there while every link is up. Before the first topic, any node stands for all.
 */
export class ClusterLinks implements Links {
  readonly #routeTo: RouteTo;
  readonly #tuning: LinkTuning;
  readonly #any: RedisLink;
  readonly #links = new Map<string, RedisLink>();
  #listener: LinkListener | undefined;
  #isClosed = false;

  constructor(routeTo: RouteTo, tuning: LinkTuning) {
    this.#routeTo = routeTo;
    this.#tuning = tuning;
    this.#any = new RedisLink(routeTo(), tuning);
  }

  open(listener: LinkListener): void {
    this.#listener = listener;
    // Consumers may have come first, and their links be up already.
    if (this.#links.size > 0) this.#tellWhenWhole(1);
    const isConcerned = (): boolean => this.#links.size === 0;
    this.#any.open({
      connected: (event) => isConcerned() && listener.connected(event),
      attemptFailed: (event) => isConcerned() && listener.attemptFailed(event),
      disconnected: (event) => isConcerned() && listener.disconnected(event),
    });
  }

  async whenUp(signal: AbortSignal): Promise<void> {
    const needed = this.#links.size === 0 ? [this.#any] : [...this.#links.values()];
    await Promise.all(needed.map((link) => link.whenUp(signal)));
  }

  of(topic: string): RedisLink {
    const known = this.#links.get(topic);
    if (known !== undefined) return known;
    if (this.#isClosed) throw new BackendError('unreachable', 'Redis: the link is closed');
    const link = this.fetching(topic);
    this.#links.set(topic, link);
    link.open({
      connected: ({ attempt }) => this.#tellWhenWhole(attempt),
      attemptFailed: (event) => this.#listener?.attemptFailed(event),
      disconnected: (event) => this.#listener?.disconnected(event),
    });
    return link;
  }

  fetching(topic: string): RedisLink {
    return new RedisLink(this.#routeTo(slotOfTopic(topic)), this.#tuning);
  }

  #tellWhenWhole(attempt: number): void {
    if ([...this.#links.values()].every(({ isUp }) => isUp)) this.#listener?.connected({ attempt });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([this.#any, ...this.#links.values()].map((link) => link.close()));
  }
}
