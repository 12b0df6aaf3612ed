import type { Clock, CallDeadline } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import type { QueryResult, Statement } from '../database.ts';
import type { Link } from '../connection/connection.ts';
import type { PoolCounts } from './pool-counts.ts';
import { Running } from './in-flight-query.ts';

/**
 * Where a place of the pool stands.
 *
 * ```
 * connecting ──stands──> idle ──lend──> busy ──give──> draining ──clear──> idle
 *     │                   │ ────drain────────────────────^  │
 *     └───────────────────┴──────────── die ────────────────┴──────────> dead
 * ```
 */
export type SlotState = 'connecting' | 'idle' | 'busy' | 'draining' | 'dead';
export type SlotEvent = 'stands' | 'lend' | 'give' | 'drain' | 'clear' | 'die';

const transitions: Readonly<Record<SlotState, Partial<Record<SlotEvent, SlotState>>>> = {
  connecting: { stands: 'idle', die: 'dead' },
  idle: { lend: 'busy', drain: 'draining', die: 'dead' },
  busy: { give: 'draining', die: 'dead' },
  draining: { clear: 'idle', die: 'dead' },
  dead: {},
};

/** @throws TypeError for an event that cannot happen there: the pool has lost count of a link. */
export function step(state: SlotState, event: SlotEvent): SlotState {
  const next = transitions[state][event];
  if (next === undefined) throw new TypeError(`a slot cannot ${event} when it is ${state}`);
  return next;
}

export interface SlotOptions {
  readonly link: Link;
  /** `host:port`. */
  readonly host: string;
  readonly clock: Clock;
  readonly lifetimeMs: number;
  readonly cancelGraceMs: number;
  readonly release: (slot: Slot, broken: boolean) => void;
  readonly counts: PoolCounts;
}

/** A place of the pool with its link, once that stands. */
export class Slot {
  state: SlotState = 'connecting';
  readonly link: Link;
  readonly host: string;
  readonly counts: PoolCounts;
  /** Called in the tick in which the link is found dead, or cut. */
  onDeath: ((error: unknown) => void) | undefined;
  readonly bornMs: number;
  readonly retiresAtMs: number;
  /** When the server was last heard. */
  heardMs: number;
  lentMs = 0;
  lastSql: string | undefined;
  readonly #clock: Clock;
  readonly #cancelGraceMs: number;
  readonly #release: SlotOptions['release'];
  #running: Running<never> | undefined;
  #quarantine: Promise<void> | undefined;

  constructor(options: SlotOptions) {
    this.link = options.link;
    this.host = options.host;
    this.counts = options.counts;
    this.#clock = options.clock;
    this.bornMs = options.clock.now();
    this.heardMs = this.bornMs;
    this.retiresAtMs = this.bornMs + options.lifetimeMs;
    this.#cancelGraceMs = options.cancelGraceMs;
    this.#release = options.release;
  }

  /** Gives the link back to its pool, which ends what is open on it; `broken`: which cuts it. */
  release(broken = false): void {
    this.onDeath = undefined;
    this.#release(this, broken);
  }

  move(event: SlotEvent): void {
    this.state = step(this.state, event);
  }

  /** Something is under way, or what was under way is being cancelled. */
  get occupied(): boolean {
    return this.#running !== undefined || this.#quarantine !== undefined;
  }

  /** Nothing is under way, no transaction is open. */
  get clean(): boolean {
    return !this.occupied && this.link.status === 'I';
  }

  /**
   * Runs one statement. When the limit is over first, rejects at once and goes on with the server alone: the
   * statement is cancelled, and the link not clean until that is through; or the link is to be cut.
   * @throws LinkFailure, Interruption
   */
  run<Row extends QueryResultRow>(
    statement: Statement,
    limit: CallDeadline,
    otherwise: 'cancel' | 'cut' = 'cancel',
  ): Promise<QueryResult<Row>> {
    this.lastSql = statement.text;
    return new Promise((resolve, reject) => {
      const running = new Running<QueryResult<Row>>(this, limit, otherwise, resolve, reject);
      if (this.#begins(running)) this.link.send<Row>(statement, running);
    });
  }

  /** As {@link run}, for whatever else takes the link. */
  during<T>(exchange: () => Promise<T>, limit: CallDeadline): Promise<T> {
    return new Promise((resolve, reject) => {
      const running = new Running<T>(this, limit, 'cancel', resolve, reject);
      if (!this.#begins(running)) return;
      exchange().then(
        (value) => running.answered(value),
        (error: unknown) => running.failed(error),
      );
    });
  }

  #begins(running: Running<never>): boolean {
    const { limit } = running;
    if (limit.cancellation !== undefined) {
      running.refuse(limit.cancellation);
      return false;
    }
    this.#running = running;
    limit.current = running;
    return true;
  }

  /** What ran here is over. */
  heard(): void {
    this.#running = undefined;
    this.heardMs = this.#clock.now();
  }

  /** Resolves once nothing is under way any more; a link that did not get there is cut. */
  async settled(): Promise<void> {
    if (this.#running !== undefined) this.abandon(this.#running);
    await this.#quarantine;
  }

  /** Nobody waits for it any more: the server is told to stop it. */
  abandon(running: Running<never>): void {
    this.#quarantine ??= this.#cancel(running.ended()).finally(() => {
      this.#quarantine = undefined;
    });
  }

  /** Until both are over the request may still hit what runs here, so nothing else may. */
  async #cancel(running: Promise<unknown>): Promise<void> {
    const { link } = this;
    this.counts.cancels += 1;
    const grace = this.#clock.schedule(this.#cancelGraceMs, () => link.destroy());
    const [, cancelled] = await Promise.allSettled([running, link.cancel(this.#cancelGraceMs)]);
    grace.cancel();
    if (cancelled.status === 'rejected' || !cancelled.value) link.destroy();
  }
}
