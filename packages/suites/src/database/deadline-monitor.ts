import { systemClock } from '@holdfast/foundation';

/** How late a call was, and how much of that the host does not explain. */
interface Lateness {
  readonly lateMs: number;
  /** Delay after a timer of the same length, started with the call, had fired: the rest is due to the host's load. */
  readonly behindMs: number;
  /** Turns of the event loop from that timer to the end of the call. */
  readonly turns: number;
}

/** The documented bound, on an idle host. */
const ALLOWED_MS = 50;
/** A call that ends within these turns of its timer was delayed by the host, however long the turns took. */
const ALLOWED_TURNS = 20;

/**
 * Compares calls with their deadlines: how late each one settled, and which are still pending. Each call has a
 * control timer, a timer of the same length. On a busy machine both are late; only the delay after the control timer is
 * due to the call itself.
 */
export class DeadlineMonitor {
  readonly #open = new Set<Watched>();
  #calls = 0;
  #latestMs = 0;
  #furthestBehindMs = 0;
  #violations: Lateness[] = [];

  /** Settles like the call. @param timeoutMs the latest time for the call to settle. */
  async watch<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    const watched = new Watched(timeoutMs);
    this.#open.add(watched);
    try {
      return await call();
    } finally {
      this.#open.delete(watched);
      this.#recordLateness(watched.end());
    }
  }

  get calls(): number {
    return this.#calls;
  }

  /** The longest time from a deadline until its call settled, or until now. */
  latestMs(): number {
    return Math.max(this.#latestMs, ...[...this.#open].map((each) => each.lateness().lateMs));
  }

  /** The longest time from a control timer until its call settled, or until now. */
  furthestBehindMs(): number {
    const pending = [...this.#open].map((each) => each.lateness().behindMs);
    return Math.max(this.#furthestBehindMs, ...pending);
  }

  /** Calls that were late although the host had time for them, including pending ones. */
  violations(): readonly Lateness[] {
    return [
      ...this.#violations,
      ...[...this.#open].map((each) => each.lateness()).filter(isViolation),
    ];
  }

  #recordLateness(lateness: Lateness): void {
    this.#latestMs = Math.max(this.#latestMs, lateness.lateMs);
    this.#furthestBehindMs = Math.max(this.#furthestBehindMs, lateness.behindMs);
    if (isViolation(lateness)) this.#violations.push(lateness);
  }
}

function isViolation({ behindMs, turns }: Lateness): boolean {
  return behindMs > ALLOWED_MS && turns > ALLOWED_TURNS;
}

/** A pending call with its control timer. */
class Watched {
  readonly #dueMs: number;
  readonly #controlTimer: { cancel(): void };
  #witnessedMs = Infinity;
  #turns = 0;
  #counting: NodeJS.Immediate | undefined;

  constructor(timeoutMs: number) {
    this.#dueMs = systemClock.now() + timeoutMs;
    this.#controlTimer = systemClock.schedule(timeoutMs, () => {
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
    this.#controlTimer.cancel();
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
