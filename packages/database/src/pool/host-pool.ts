import {
  type Emitter,
  type Clock,
  CallDeadline,
  LinkedList,
  type Cancellation,
  type Random,
  type Timer,
} from '@holdfast/foundation';
import type { PoolStats } from '../database.ts';
import { AcquireTimeoutError, PoolOverloadedError, type PoolSnapshot } from '../errors.ts';
import type { DatabaseEvents } from '../events.ts';
import { inWords } from '../connection/sql-state.ts';
import type { Connect, Link } from '../connection/connection.ts';
import type { Settings } from '../options.ts';
import { LinkSupply } from './connection-factory.ts';
import { PoolCounts } from './pool-counts.ts';
import { connectRefused, databaseClosed } from './pool-errors.ts';
import { Slot } from './pooled-connection.ts';
import { Waiter } from './wait-queue.ts';

export type PoolSettings = Pick<
  Settings,
  | 'max'
  | 'maxWaiting'
  | 'acquireTimeoutMs'
  | 'cancelGraceMs'
  | 'validateAfterIdleMs'
  | 'validationTimeoutMs'
  | 'idleTimeoutMs'
  | 'maxLifetimeMs'
  | 'reconnect'
>;

export interface PoolOptions {
  /** `host:port`. */
  readonly name: string;
  readonly connect: Connect;
  readonly settings: PoolSettings;
  readonly events: Emitter<DatabaseEvents>;
  readonly clock: Clock;
  readonly random: Random;
}

/** How much of a link's lifetime chance may take off, so that links made together do not end together. */
const LIFETIME_JITTER = 0.1;
const TIME_IS_OVER: Cancellation = { kind: 'deadline' };
const PING = { text: '' };
const ROLLBACK = { text: 'rollback' };

/** Thrown at those who wait for a link to a host that they should not go to any more. */
export class HostLeft {
  readonly host: string;

  constructor(host: string) {
    this.host = host;
  }
}

/**
 * The links to one host. Whoever asks is served in the order of asking, with a link that was heard of
 * lately; while the host is away everybody is held, and one attempt at a time asks whether it is back.
 */
export class HostPool {
  readonly name: string;
  readonly counts: PoolCounts = new PoolCounts();
  readonly #settings: PoolSettings;
  readonly #events: Emitter<DatabaseEvents>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #supply: LinkSupply;
  readonly #waiting: LinkedList<Waiter> = new LinkedList();
  readonly #slots = new Set<Slot>();
  /** The one used last is lent first, so that those not needed grow old and go. */
  readonly #idle: Slot[] = [];
  #checking = 0;
  #suspectSinceMs = -Infinity;
  #sweepTimer: Timer | undefined;
  #isClosing = false;
  #onEmpty: (() => void) | undefined;

  constructor({ name, connect, settings, events, clock, random }: PoolOptions) {
    this.name = name;
    this.#settings = settings;
    this.#events = events;
    this.#clock = clock;
    this.#random = random;
    const { max, reconnect } = settings;
    const { counts } = this;
    const slots = this.#slots;
    this.#supply = new LinkSupply(
      { name, connect, max, reconnect, counts, events, clock, random },
      {
        get established() {
          return slots.size;
        },
        connected: (link) => this.#connected(link),
        refused: (error) => this.#refused(error),
        wake: () => this.#pump(),
      },
    );
  }

  /**
   * A link for the caller alone, until its `release`. At once where one is ready.
   * @throws AcquireTimeoutError, PoolOverloadedError, ConnectRefusedError, DatabaseClosedError, HostLeft, or
   *   the reason of the limit's signal.
   */
  acquire(
    limit: CallDeadline,
    timeoutMs: number = this.#settings.acquireTimeoutMs,
  ): Slot | Promise<Slot> {
    if (this.#isClosing) throw databaseClosed();
    const nowMs = this.#clock.now();
    if (limit.cancellation?.kind === 'signal') throw limit.cancellation.reason;
    if (limit.cancellation !== undefined) throw this.#timedOut(nowMs);
    if (this.#waiting.size === 0) {
      const slot = this.#idle.at(-1);
      if (slot !== undefined && nowMs < slot.retiresAtMs && !this.#mustCheck(slot, nowMs)) {
        this.#idle.pop();
        return this.#lend(slot, nowMs, 0);
      }
    }
    if (this.#waiting.size >= this.#settings.maxWaiting) {
      this.counts.overloaded += 1;
      throw new PoolOverloadedError(this.snapshot());
    }
    return this.#wait(limit, timeoutMs, nowMs);
  }

  /** Takes a link back. What is left open or under way on it is ended first. */
  #release(slot: Slot, broken: boolean): void {
    if (slot.state !== 'busy') return;
    const nowMs = this.#clock.now();
    this.counts.useMs.record(nowMs - slot.lentMs);
    if (broken || !slot.link.alive) this.#drop(slot);
    else {
      slot.move('give');
      if (slot.clean) this.#ready(slot, nowMs);
      else void this.#clear(slot);
    }
    this.#pump(nowMs);
  }

  /** Those who wait here are sent elsewhere; with `fenced` nothing that is under way goes on either. */
  leave(fenced: boolean): void {
    this.#refuseAll(() => new HostLeft(this.name));
    if (fenced) for (const slot of this.#slots) this.#drop(slot);
    this.#pump();
  }

  snapshot(): PoolSnapshot {
    const established = this.#slots.size;
    const idle = this.#idle.length;
    const { connecting, error, cap } = this.#supply;
    return {
      host: this.name,
      max: this.#settings.max,
      cap,
      total: established + connecting,
      idle,
      busy: established - idle,
      connecting,
      waiting: this.#waiting.size,
      ...(error === undefined ? {} : { connectError: inWords(error) }),
    };
  }

  getStats(): PoolStats {
    return { ...this.snapshot(), ...this.counts.read() };
  }

  /** Lends to nobody new; resolves when all have come back, or were cut at `cut()`. */
  close(): Promise<void> {
    this.#isClosing = true;
    for (const slot of this.#idle.splice(0)) this.#retire(slot);
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#pump();
    });
  }

  /** Ends what `close` still waits for. */
  cut(): void {
    this.#supply.end(databaseClosed());
    this.#refuseAll(() => databaseClosed());
    for (const slot of this.#slots) this.#drop(slot);
    this.#pump();
  }

  #wait(limit: CallDeadline, timeoutMs: number, nowMs: number): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(nowMs, resolve, reject);
      limit.current = { cancel: (over) => this.#giveUp(waiter, over) };
      if (nowMs + timeoutMs < limit.endsAtMs) {
        waiter.timer = this.#clock.schedule(timeoutMs, () => this.#giveUp(waiter, TIME_IS_OVER));
      }
      this.#waiting.append(waiter);
      this.#pump(nowMs);
    });
  }

  #giveUp(waiter: Waiter, over: Cancellation): void {
    if (waiter.list === undefined) return;
    // What the error says of the pool is still with the one who gives up.
    const why = over.kind === 'deadline' ? this.#timedOut(waiter.sinceMs) : over.reason;
    this.#waiting.remove(waiter);
    this.#refuse(waiter, why);
    this.#pump();
  }

  #refuse(waiter: Waiter, reason: unknown): void {
    waiter.timer?.cancel();
    waiter.reject(reason);
  }

  #refuseAll(reason: () => unknown): void {
    for (let waiter = this.#waiting.shift(); waiter !== undefined;) {
      this.#refuse(waiter, reason());
      waiter = this.#waiting.shift();
    }
  }

  #lend(slot: Slot, nowMs: number, waitedMs: number): Slot {
    slot.move('lend');
    slot.lentMs = nowMs;
    slot.link.hold(true);
    this.counts.acquired += 1;
    this.counts.waitMs.record(waitedMs);
    return slot;
  }

  /** A clean link goes to whoever waits longest, else to the idle ones. */
  #ready(slot: Slot, nowMs: number): void {
    if (slot.state !== 'idle') slot.move('clear');
    if (nowMs >= slot.retiresAtMs) {
      this.#retire(slot);
      return;
    }
    const waiter = this.#mustCheck(slot, nowMs) ? undefined : this.#waiting.shift();
    if (waiter !== undefined) {
      waiter.timer?.cancel();
      waiter.resolve(this.#lend(slot, nowMs, nowMs - waiter.sinceMs));
      return;
    }
    if (this.#isClosing) {
      this.#retire(slot);
      return;
    }
    slot.link.hold(false);
    this.#idle.push(slot);
    this.#sweepTimer ??= this.#sweepIn(this.#settings.idleTimeoutMs);
  }

  #mustCheck(slot: Slot, nowMs: number): boolean {
    return (
      slot.heardMs < this.#suspectSinceMs ||
      nowMs - slot.heardMs > this.#settings.validateAfterIdleMs
    );
  }

  /** Serves those who wait as far as links stand, and has as many made as are wanting. */
  #pump(nowMs: number = this.#clock.now()): void {
    while (this.#waiting.size > 0 && this.#checking < this.#waiting.size) {
      const slot = this.#idle.pop();
      if (slot === undefined) break;
      if (this.#mustCheck(slot, nowMs)) void this.#check(slot);
      else this.#ready(slot, nowMs);
    }
    this.#supply.fill(this.#waiting.size - this.#supply.connecting - this.#checking, nowMs);
    if (this.#waiting.size > 0) return;
    this.#supply.rest();
    if (!this.#isClosing || this.#slots.size + this.#supply.connecting > 0) return;
    this.#sweepTimer?.cancel();
    this.#onEmpty?.();
  }

  #connected(link: Link): void {
    const { maxLifetimeMs, cancelGraceMs } = this.#settings;
    const lifetimeMs = maxLifetimeMs * (1 - LIFETIME_JITTER * this.#random());
    const slot = new Slot({
      link,
      host: this.name,
      clock: this.#clock,
      lifetimeMs,
      cancelGraceMs,
      release: (given, broken) => this.#release(given, broken),
      counts: this.counts,
    });
    this.#slots.add(slot);
    link.onLost = (error) => this.#lost(slot, error);
    slot.move('stands');
    this.#ready(slot, slot.bornMs);
  }

  /** Those who wait are told at once, unless links that still stand can serve them. */
  #refused(error: unknown): void {
    if (this.#slots.size === 0) this.#refuseAll(() => connectRefused(error, this.snapshot()));
  }

  #lost(slot: Slot, error: unknown): void {
    const nowMs = this.#clock.now();
    const lent = slot.state === 'busy';
    this.#forget(slot, error);
    this.counts.lost += 1;
    this.#suspectSinceMs = nowMs;
    this.#supply.suspect(nowMs);
    this.#events.emit('lost', { host: this.name, error: inWords(error), lent, atMs: nowMs });
    this.#pump();
  }

  /** Asks an idle link for a sign of life; it goes on to who waits, or is cut. */
  async #check(slot: Slot): Promise<void> {
    slot.move('drain');
    this.#checking += 1;
    await this.#say(slot, PING);
    this.#checking -= 1;
    this.#settle(slot);
  }

  async #clear(slot: Slot): Promise<void> {
    await slot.settled();
    if (slot.link.alive && slot.link.status !== 'I') await this.#say(slot, ROLLBACK);
    this.#settle(slot);
  }

  async #say(slot: Slot, statement: { text: string }): Promise<void> {
    const limit = new CallDeadline(this.#clock, this.#settings.validationTimeoutMs);
    try {
      await slot.run(statement, limit, 'cut');
    } catch {
      this.#drop(slot);
    } finally {
      limit.release();
    }
  }

  #settle(slot: Slot): void {
    if (slot.state === 'draining') {
      // As of its answer: a link that was heard is not to be asked again for the moment that has passed since.
      if (slot.link.alive && slot.clean) this.#ready(slot, slot.heardMs);
      else this.#drop(slot);
    }
    this.#pump();
  }

  #retire(slot: Slot): void {
    this.counts.retired += 1;
    this.#forget(slot);
    slot.link.close();
  }

  #drop(slot: Slot): void {
    this.#forget(slot);
    slot.link.destroy();
  }

  #forget(slot: Slot, error?: unknown): void {
    if (slot.state === 'dead') return;
    slot.move('die');
    slot.link.onLost = undefined;
    slot.onDeath?.(error);
    this.#slots.delete(slot);
    const at = this.#idle.indexOf(slot);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #sweepIn(delayMs: number): Timer {
    return this.#clock.schedule(delayMs, () => this.#sweep(), { holdsProcess: false });
  }

  /** Closes links that nobody has needed for long; the first of the idle ones has waited longest. */
  #sweep(): void {
    this.#sweepTimer = undefined;
    const nowMs = this.#clock.now();
    const { idleTimeoutMs } = this.#settings;
    const old = this.#idle.filter(
      ({ heardMs, retiresAtMs }) => nowMs - heardMs >= idleTimeoutMs || nowMs >= retiresAtMs,
    );
    for (const slot of old) this.#retire(slot);
    const [next] = this.#idle;
    if (next === undefined) return;
    this.#sweepTimer = this.#sweepIn(Math.max(1, next.heardMs + idleTimeoutMs - nowMs));
  }

  #timedOut(sinceMs: number): AcquireTimeoutError {
    this.counts.acquireTimeouts += 1;
    const waitedMs = this.#clock.now() - sinceMs;
    return new AcquireTimeoutError(waitedMs, this.snapshot(), this.#supply.error);
  }
}
