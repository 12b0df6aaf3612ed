import { AsyncLocalStorage } from 'node:async_hooks';
import type { Emitter, Clock, Random, Timer } from '@holdfast/foundation';
import type { DatabaseEvents } from '../events.ts';
import {
  TOO_MANY_CONNECTIONS,
  inWords,
  mayConnectLater,
  sqlStateOf,
} from '../connection/sql-state.ts';
import type { Connect, Link } from '../connection/connection.ts';
import { ConnectGate } from './connect-backoff.ts';
import { LearnedCap } from './learned-cap.ts';
import type { PoolCounts } from './pool-counts.ts';

export interface SupplyOptions {
  /** `host:port`. */
  readonly name: string;
  readonly connect: Connect;
  readonly max: number;
  readonly reconnect: { readonly initialDelayMs: number; readonly maxDelayMs: number };
  readonly counts: PoolCounts;
  readonly events: Emitter<DatabaseEvents>;
  readonly clock: Clock;
  readonly random: Random;
}

/** Who uses the links, and says how many there are. */
export interface Consumer {
  /** Links that stand. */
  readonly established: number;
  connected(link: Link): void;
  /** The server will not have us, and waiting would not help. */
  refused(error: unknown): void;
  /** Something has changed: links may be wanted, and be possible to make. */
  wake(): void;
}

/** Makes links to one host: no more than it lets in, and one at a time while it is away. */
export class LinkSupply {
  /** Attempts under way. */
  connecting = 0;
  /** Why the last attempt failed, while none has succeeded since. */
  error: unknown;
  readonly #options: SupplyOptions;
  readonly #consumer: Consumer;
  readonly #gate: ConnectGate;
  readonly #cap: LearnedCap;
  readonly #ending = new AbortController();
  #knockTimer: Timer | undefined;
  /** Links outlive the call that wanted them, and must not keep what that call carries along. */
  readonly #outside: <T>(work: () => T) => T = AsyncLocalStorage.snapshot();

  constructor(options: SupplyOptions, consumer: Consumer) {
    this.#options = options;
    this.#consumer = consumer;
    this.#gate = new ConnectGate(options.reconnect, options.random);
    this.#cap = new LearnedCap(options.max);
  }

  get cap(): number {
    return this.#cap.value;
  }

  /** Makes as many as are wanting, or sees to it that somebody is woken when that may be tried. */
  fill(wanting: number, nowMs: number): void {
    if (wanting <= 0) return;
    for (let made = 0; made < wanting && this.#mayOpen(nowMs); made += 1) {
      void this.#outside(() => this.#open(nowMs));
    }
  }

  /** A link was lost. */
  suspect(nowMs: number): void {
    this.#gate.suspect(nowMs);
  }

  /** Nobody wants anything at this time. */
  rest(): void {
    this.#knockTimer?.cancel();
    this.#knockTimer = undefined;
  }

  end(reason: Error): void {
    this.rest();
    this.#ending.abort(reason);
  }

  #mayOpen(nowMs: number): boolean {
    const total = this.#consumer.established + this.connecting;
    if (total >= this.#options.max || this.#ending.signal.aborted) return false;
    const dueInMs = this.#gate.dueInMs(nowMs);
    if (dueInMs === undefined) return false;
    if (dueInMs > 0) {
      this.#knockTimer ??= this.#options.clock.schedule(dueInMs, () => {
        this.#knockTimer = undefined;
        this.#consumer.wake();
      });
      return false;
    }
    return total < this.#cap.value || this.#cap.raise(nowMs);
  }

  async #open(startedMs: number): Promise<void> {
    const { connect, clock } = this.#options;
    const knocked = this.#gate.knock();
    this.connecting += 1;
    try {
      const link = await connect({ signal: this.#ending.signal });
      this.connecting -= 1;
      if (this.#ending.signal.aborted) link.destroy();
      else this.#connected(link, startedMs);
    } catch (error) {
      this.connecting -= 1;
      if (!this.#ending.signal.aborted) this.#failed(error, knocked, clock.now());
    }
    this.#consumer.wake();
  }

  #connected(link: Link, startedMs: number): void {
    const { name, counts, events, clock } = this.#options;
    const nowMs = clock.now();
    this.error = undefined;
    this.#gate.succeeded(nowMs);
    this.#cap.succeeded(this.#consumer.established + this.connecting + 1);
    counts.connects += 1;
    counts.connectMs.record(nowMs - startedMs);
    this.#consumer.connected(link);
    events.emit('connected', { host: name, tookMs: nowMs - startedMs, atMs: nowMs });
  }

  #failed(error: unknown, knocked: boolean, nowMs: number): void {
    const { name: host, counts, events } = this.#options;
    this.error = error;
    counts.connectFailures += 1;
    const others = this.#consumer.established + this.connecting;
    if (sqlStateOf(error) === TOO_MANY_CONNECTIONS && others > 0) {
      this.#cap.refused(others, nowMs);
      if (knocked) this.#gate.succeeded(nowMs);
      events.emit('capped', { host, cap: this.#cap.value, atMs: nowMs });
      return;
    }
    const delayMs = this.#gate.failed(nowMs, knocked);
    const { attempts: attempt } = this.#gate;
    if (!mayConnectLater(error)) this.#consumer.refused(error);
    const failed = { host, error: inWords(error), attempt, delayMs, atMs: nowMs };
    events.emit('connect-failed', failed);
  }
}
