import { systemClock } from '@holdfast/foundation';

/** How late a call was, and how much of it was its own doing. */
interface Lateness {
  readonly lateMs: number;
  /** After a timer of the same length, started with the call, had fired: what the host's load explains is over by then. */
  readonly behindMs: number;
  /** Turns of the event loop from that timer to the end of the call. */
  readonly turns: number;
}

/** What the promise allows, on a host that has time. */
const ALLOWED_MS = 50;
/** A call that ends in the same few turns as its timer is held up by the host, however long those took. */
const ALLOWED_TURNS = 20;

/**
 * Watches calls against their deadlines: how late each one settled, and which have not at all. Beside each a
 * witness runs, a timer of the same length: on a busy machine both are late, and what a call is later than its
 * witness it has to answer for itself.
 */
export class Punctuality {
  readonly #open = new Set<Watched>();
  #calls = 0;
  #latestMs = 0;
  #furthestBehindMs = 0;
  #guilty: Lateness[] = [];

  /** Settles like the call. @param timeoutMs when it is to have settled at the latest. */
  async watch<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    const watched = new Watched(timeoutMs);
    this.#open.add(watched);
    try {
      return await call();
    } finally {
      this.#open.delete(watched);
      this.#judge(watched.end());
    }
  }

  get calls(): number {
    return this.#calls;
  }

  /** The longest that a call has settled, or is still pending, after its deadline. */
  latestMs(): number {
    return Math.max(this.#latestMs, ...[...this.#open].map((each) => each.lateness().lateMs));
  }

  /** The longest that a call has settled, or is still pending, after its witness. */
  furthestBehindMs(): number {
    const pending = [...this.#open].map((each) => each.lateness().behindMs);
    return Math.max(this.#furthestBehindMs, ...pending);
  }

  /** Calls that were late although the host had time for them, those still pending too. */
  guilty(): readonly Lateness[] {
    return [...this.#guilty, ...[...this.#open].map((each) => each.lateness()).filter(isGuilty)];
  }

  #judge(lateness: Lateness): void {
    this.#latestMs = Math.max(this.#latestMs, lateness.lateMs);
    this.#furthestBehindMs = Math.max(this.#furthestBehindMs, lateness.behindMs);
    if (isGuilty(lateness)) this.#guilty.push(lateness);
  }
}

function isGuilty({ behindMs, turns }: Lateness): boolean {
  return behindMs > ALLOWED_MS && turns > ALLOWED_TURNS;
}

/** A call under way, with its witness. */
class Watched {
  readonly #dueMs: number;
  readonly #witness: { cancel(): void };
  #witnessedMs = Infinity;
  #turns = 0;
  #counting: NodeJS.Immediate | undefined;

  constructor(timeoutMs: number) {
    this.#dueMs = systemClock.now() + timeoutMs;
    this.#witness = systemClock.schedule(timeoutMs, () => {
      this.#witnessedMs = systemClock.now();
      this.#count();
    });
  }

  lateness(): Lateness {
    const nowMs = systemClock.now();
    const behindMs = Math.max(0, nowMs - this.#witnessedMs);
    return { lateMs: Math.max(0, nowMs - this.#dueMs), behindMs, turns: this.#turns };
  }

  end(): Lateness {
    this.#witness.cancel();
    clearImmediate(this.#counting);
    return this.lateness();
  }

  #count(): void {
    this.#counting = setImmediate(() => {
      this.#turns += 1;
      this.#count();
    });
  }
}
