import type { Clock, Timer } from '@holdfast/foundation';
import type { OutcomeState, OutcomeStore, OutcomeWatch } from './outcome-store.ts';

/** What waits for news of a job. */
interface Waiting {
  read(state: OutcomeState): void;
  notRead(error: unknown): void;
}

/** All jobs that are waited for are asked for this often, should news have been lost. */
const POLL_MS = 5_000;
/** A store that could not be asked is asked again after this time. */
const RETRY_MS = 500;
/** How long the topic is still watched when nobody waits any more: often somebody soon does. */
const LINGER_MS = 10_000;
/** The most jobs that are asked for at once. */
const MAX_READ = 100;

/** Watches the outcomes of one topic while some are waited for. */
export class TopicWatch {
  readonly #store: OutcomeStore;
  readonly #topic: string;
  readonly #clock: Clock;
  readonly #onClosed: () => void;
  readonly #waiting = new Map<string, Set<Waiting>>();
  readonly #watch: OutcomeWatch;
  /** The jobs of which there may be news. */
  readonly #asked = new Set<string>();
  #isReading = false;
  #poll: Timer;
  #linger: Timer | undefined;
  #closed: Promise<void> | undefined;

  /** @param onClosed called when it is closed because nobody waits. */
  constructor(store: OutcomeStore, topic: string, clock: Clock, onClosed: () => void) {
    this.#store = store;
    this.#topic = topic;
    this.#clock = clock;
    this.#onClosed = onClosed;
    this.#poll = this.#scheduleAsk(POLL_MS);
    this.#watch = store.watch(topic, (ids) =>
      this.#ask(ids === 'all' ? this.#waiting.keys() : ids),
    );
  }

  /** Waits for news of a job; returns the function that ends the wait. */
  add(id: string, waiting: Waiting): () => void {
    this.#linger?.cancel();
    const those = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, those);
    those.add(waiting);
    this.#ask([id]);
    return () => {
      those.delete(waiting);
      if (those.size === 0 && this.#waiting.get(id) === those) this.#waiting.delete(id);
      if (this.#waiting.size > 0) return;
      const onIdle = (): void => void this.close();
      this.#linger = this.#clock.schedule(LINGER_MS, onIdle, { holdsProcess: false });
    };
  }

  close(): Promise<void> {
    this.#linger?.cancel();
    this.#poll.cancel();
    this.#onClosed();
    return (this.#closed ??= this.#watch.close());
  }

  #scheduleAsk(delayMs: number): Timer {
    const onTime = (): void => {
      if (this.#closed !== undefined) return;
      this.#poll = this.#scheduleAsk(POLL_MS);
      this.#ask(this.#waiting.keys());
    };
    return this.#clock.schedule(delayMs, onTime, { holdsProcess: false });
  }

  #ask(ids: Iterable<string>): void {
    for (const id of ids) if (this.#waiting.has(id)) this.#asked.add(id);
    if (!this.#isReading && this.#asked.size > 0) void this.#read();
  }

  /** Reads what is asked for, as long as there is something. */
  async #read(): Promise<void> {
    this.#isReading = true;
    // One microtask later, so that calls of the same turn share a read.
    await Promise.resolve();
    while (this.#asked.size > 0) {
      const ids = [...this.#asked].slice(0, MAX_READ);
      for (const id of ids) this.#asked.delete(id);
      try {
        const states = await this.#store.read(this.#topic, ids);
        for (const [index, id] of ids.entries()) {
          const state = states[index];
          if (state === undefined) continue;
          for (const one of this.#waiting.get(id) ?? []) one.read(state);
        }
      } catch (error) {
        for (const id of ids) for (const one of this.#waiting.get(id) ?? []) one.notRead(error);
        this.#asked.clear();
        this.#poll.cancel();
        if (this.#closed === undefined) this.#poll = this.#scheduleAsk(RETRY_MS);
      }
    }
    this.#isReading = false;
  }
}
