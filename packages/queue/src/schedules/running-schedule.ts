import {
  type Clock,
  type Emitter,
  type Random,
  describeThrown,
  onAbort,
} from '@holdfast/foundation';
import { refusalBackoff } from '../recovery/refusal-backoff.ts';
import type { Accepted } from '../state/accepted.ts';
import type { QueueEvents } from '../state/queue-events.ts';
import { type DueTicks, type MissedPolicy, dueTicks, missedTicks } from './missed-ticks.ts';
import type { ScheduleInfo } from './schedule.ts';
import {
  LATE_MS,
  type ScheduleNotice,
  type ScheduleRecord,
  type ScheduleStore,
} from './schedule-store.ts';
import { ScheduleTime } from './schedule-time.ts';
import type { Ticks } from './timetable.ts';

/** A schedule asks the store at least this often, for its time and for a removal. */
const SYNC_EVERY_MS = 60_000;
/** How long a tick waits for the store: then it goes by what is known. */
const SYNC_WAIT_MS = 1_000;

interface ScheduleDeps {
  readonly name: string;
  readonly topic: string;
  readonly ticks: Ticks;
  readonly policy: MissedPolicy;
  readonly store: ScheduleStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Emitter<QueueEvents>;
  /** Enqueues the job of a tick, whose id is that of the tick. */
  readonly enqueue: (tickMs: number, signal: AbortSignal) => Promise<Accepted>;
}

/**
 * Ticks until it is stopped, or removed by any process.
 *
 *     waiting ──▶ due ──▶ enqueued (Redis or the fallback has the job) ──▶ settled: the last tick is raised in the store
 *                  └─ missed ──▶ by the policy
 *
 * Every process ticks. That a tick becomes one job follows from the id of its job; the last tick in the store saves
 * the others the work, and tells one that was away which ticks were not missed.
 */
export class RunningSchedule {
  readonly #deps: ScheduleDeps;
  readonly #time: ScheduleTime;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  /** The last tick that is settled, as far as is known; at first, when the schedule began. */
  #lastMs: number;
  readonly #beganMs: number;
  /** What was missed before it began, where the store could tell that only later. */
  #missedBefore: DueTicks | undefined;
  #lastTickMs: number | undefined;
  #syncedMs = -Infinity;
  #syncing: Promise<void> | undefined;

  constructor(deps: ScheduleDeps) {
    this.#deps = deps;
    this.#time = new ScheduleTime(deps.clock);
    this.#beganMs = this.#time.nowMs;
    this.#lastMs = this.#beganMs;
    this.#done = this.#run();
  }

  get info(): ScheduleInfo {
    const { name, topic, ticks } = this.#deps;
    const nextTickMs = ticks.after(Math.max(this.#lastMs, this.#time.nowMs));
    const settledMs = this.#lastTickMs;
    const lastTickMs = settledMs === undefined ? undefined : ticks.until(settledMs, 1).at(-1);
    return {
      name,
      topic,
      timetable: ticks.timetable,
      ...(nextTickMs !== undefined && { nextTickMs }),
      ...(lastTickMs !== undefined && { lastTickMs }),
      isSynchronized: this.#time.isKnown,
    };
  }

  get isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Resolves once it does nothing any more. */
  stop(): Promise<void> {
    this.#stopping.abort();
    return this.#done;
  }

  async #run(): Promise<void> {
    const { ticks, clock, random } = this.#deps;
    const { signal } = this.#stopping;
    let delays = refusalBackoff.delays(random);
    while (!signal.aborted) {
      if (clock.now() - this.#syncedMs >= SYNC_EVERY_MS || this.#due().missed > 0) {
        await this.#syncWithin(SYNC_WAIT_MS);
      }
      if (this.isStopped) return;
      const isSettled = await this.#issueDue();
      if (isSettled) delays = refusalBackoff.delays(random);
      const next = ticks.after(this.#lastMs);
      if (next === undefined) return;
      const untilNextMs = Math.min(Math.max(1, next - this.#time.nowMs), SYNC_EVERY_MS);
      await this.#sleep(isSettled ? untilNextMs : (delays.next().value ?? SYNC_WAIT_MS));
    }
  }

  #due(nowMs: number = this.#time.nowMs): DueTicks {
    const { ticks, policy } = this.#deps;
    const before = this.#missedBefore ?? { issue: [], missed: 0 };
    const { issue, missed } = dueTicks(ticks, { lastMs: this.#lastMs, nowMs }, policy);
    return { issue: [...before.issue, ...issue], missed: before.missed + missed };
  }

  /** @returns false when a tick was refused: it is due until it is missed. */
  async #issueDue(): Promise<boolean> {
    const { events, clock, name, topic, enqueue } = this.#deps;
    const nowMs = this.#time.nowMs;
    const { issue, missed } = this.#due(nowMs);
    if (issue.length === 0 && missed === 0) return true;
    for (const tickMs of issue) {
      try {
        const { id, accepted, duplicate } = await enqueue(tickMs, this.#stopping.signal);
        this.#settle(tickMs);
        const known = duplicate === true ? { duplicate } : {};
        events.emit('ticked', { name, topic, tickMs, id, accepted, ...known, atMs: clock.now() });
      } catch (thrown) {
        if (this.isStopped) return false;
        const error = describeThrown(thrown);
        events.emit('tick-refused', { name, topic, tickMs, error, atMs: clock.now() });
        return false;
      }
    }
    if (missed > 0) {
      const issued = issue.filter((tickMs) => tickMs <= nowMs - LATE_MS).length;
      events.emit('ticks-missed', { name, topic, missed, issued, atMs: clock.now() });
    }
    this.#missedBefore = undefined;
    this.#lastMs = Math.max(this.#lastMs, nowMs);
    await this.#syncWithin(SYNC_WAIT_MS);
    return true;
  }

  #settle(tickMs: number): void {
    this.#lastMs = Math.max(this.#lastMs, tickMs);
    this.#lastTickMs = Math.max(this.#lastTickMs ?? 0, tickMs);
  }

  /** Asks the store, and goes on without its answer after a while. */
  async #syncWithin(waitMs: number): Promise<void> {
    this.#syncing ??= this.#sync().finally(() => (this.#syncing = undefined));
    const over = new AbortController();
    await Promise.race([this.#syncing, this.#sleep(waitMs, over.signal)]);
    over.abort();
  }

  async #sync(): Promise<void> {
    const { store, topic, name, clock } = this.#deps;
    const isFirst = !this.#time.isKnown;
    const kind: ScheduleNotice['kind'] = isFirst ? 'declare' : 'raise';
    const calledMs = clock.now();
    try {
      // The first answer tells what was settled before, so that what was missed is known.
      const notice = { kind, tickMs: isFirst ? 0 : (this.#lastTickMs ?? 0) };
      const record = await store.exchange(topic, name, notice);
      this.#syncedMs = clock.now();
      this.#time.answered(record.serverMs, calledMs);
      if (record.isRemoved) this.#stopping.abort();
      this.#adopt(record, isFirst);
    } catch {
      // The store is away: what is known of it holds.
    }
  }

  #adopt({ lastTickMs, serverMs }: ScheduleRecord, isFirst: boolean): void {
    const { ticks, policy } = this.#deps;
    // Ticks that a wrong clock has issued are still to come: the ids of their jobs are known.
    this.#lastMs = Math.min(this.#lastMs, serverMs + LATE_MS);
    if (lastTickMs === 0) return;
    if (isFirst && lastTickMs < this.#beganMs) {
      if (this.#lastTickMs === undefined) this.#lastMs = lastTickMs;
      else {
        const before = { lastMs: lastTickMs, nowMs: Math.min(this.#beganMs, serverMs) };
        this.#missedBefore = missedTicks(ticks, before, policy);
      }
    }
    this.#lastMs = Math.max(this.#lastMs, lastTickMs);
    this.#lastTickMs = Math.max(lastTickMs, Math.min(this.#lastTickMs ?? 0, serverMs + LATE_MS));
  }

  /** Ends early when it is stopped; an idle process may end meanwhile. */
  #sleep(delayMs: number, over?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        release();
        releaseOver();
        resolve();
      };
      const timer = this.#deps.clock.schedule(delayMs, end, { holdsProcess: false });
      const release = onAbort(this.#stopping.signal, end);
      const releaseOver = onAbort(over, end);
    });
  }
}
