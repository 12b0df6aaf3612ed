import {
  type Clock,
  type Emitter,
  InvalidOptionError,
  type Random,
  abortable,
  integer,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { OperationUnsupportedError, QueueFullError } from '../errors.ts';
import { refusalBackoff } from '../recovery/refusal-backoff.ts';
import { PRIORITIES } from '../producer/scheduling.ts';
import { checkTopic } from '../producer/payload.ts';
import type { EnqueueOptions } from '../queue.ts';
import type { Accepted } from '../state/accepted.ts';
import type { QueueEvents } from '../state/queue-events.ts';
import { MAX_EXPIRY_MS } from '../windows/window-options.ts';
import { RunningSchedule } from './running-schedule.ts';
import type { ScheduleInfo, ScheduleOptions, Timetable, Unscheduled } from './schedule.ts';
import type { ScheduleStore } from './schedule-store.ts';
import { ticksOf } from './timetable.ts';

/** With the tick, the name makes a job id of at most 200 characters. */
const MAX_NAME_LENGTH = 150;
const MAX_SCHEDULES = 1_000;
/** How long `unschedule` waits for Redis before it answers that only this process has stopped. */
const REMOVE_WAIT_MS = 1_000;

const shape = {
  missed: oneOf(['skip', 'once', 'all'], 'once'),
  maxMissed: integer({ min: 1, max: 1_000, default: 100 }),
  key: optional(string({ maxLength: 200 })),
  priority: optional(oneOf(PRIORITIES)),
  expiresInMs: optional(integer({ min: 1, max: MAX_EXPIRY_MS })),
};

interface SchedulesDeps {
  /** Absent where the store keeps no schedules. */
  readonly store: ScheduleStore | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Emitter<QueueEvents>;
  readonly enqueue: (topic: string, payload: unknown, options: EnqueueOptions) => Promise<Accepted>;
  /** @throws InvalidOptionError for what `enqueue` would refuse. */
  readonly check: (topic: string, payload: unknown, options: EnqueueOptions) => void;
}

/** The schedules of one queue. */
export class Schedules {
  readonly #deps: SchedulesDeps;
  readonly #running = new Map<string, RunningSchedule>();
  /** Ends the removals that Redis has not confirmed. */
  readonly #closing = new AbortController();

  constructor(deps: SchedulesDeps) {
    this.#deps = deps;
  }

  async schedule(
    name: string,
    timetable: Timetable,
    topic: string,
    payload: unknown,
    given?: ScheduleOptions,
  ): Promise<void> {
    const { store, clock, check, enqueue } = this.#deps;
    checkName(name);
    checkTopic('schedule', topic);
    const { missed, maxMissed, key, priority, expiresInMs } = parseOptions(
      'schedule',
      shape,
      given,
    );
    const options: EnqueueOptions = {
      ...(key !== undefined && { key }),
      ...(priority !== undefined && { priority }),
      ...(expiresInMs !== undefined && { expiresInMs }),
    };
    check(topic, payload, { ...options, jobId: jobIdOf(name, 0) });
    if (store === undefined) throw new OperationUnsupportedError('schedule');
    const ticks = await ticksOf(timetable, clock.epochMs());
    if (this.#closing.signal.aborted) return;
    if (!this.#running.has(name) && this.#running.size >= MAX_SCHEDULES) {
      const seen = `${MAX_SCHEDULES} schedules are in use already`;
      throw new QueueFullError('schedules', seen);
    }
    void this.#running.get(name)?.stop();
    const schedule = new RunningSchedule({
      ...this.#deps,
      name,
      topic,
      ticks,
      policy: { missed, maxMissed },
      store,
      enqueue: (tickMs, signal) =>
        enqueue(topic, payload, { ...options, jobId: jobIdOf(name, tickMs), signal }),
    });
    this.#running.set(name, schedule);
  }

  async unschedule(name: string): Promise<Unscheduled> {
    const { store, clock } = this.#deps;
    checkName(name);
    const schedule = this.#running.get(name);
    if (schedule === undefined || store === undefined) return { stopped: 'unknown' };
    const { topic } = schedule.info;
    this.#running.delete(name);
    await schedule.stop();
    const over = new AbortController();
    const timer = clock.schedule(REMOVE_WAIT_MS, () => over.abort());
    const removed = this.#remove(store, topic, name).then(() => true);
    const isEverywhere = await abortable(removed, over.signal).catch(() => false);
    timer.cancel();
    return { stopped: isEverywhere ? 'everywhere' : 'here' };
  }

  list(): ScheduleInfo[] {
    const running = [...this.#running.values()].filter(({ isStopped }) => !isStopped);
    return running.map(({ info }) => info);
  }

  /** No tick is issued any more; resolves once those under way are. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#running.values()].map((one) => one.stop()));
  }

  /** Tells the store, until it knows, this queue is closed, or the schedule is declared again. */
  async #remove(store: ScheduleStore, topic: string, name: string): Promise<void> {
    const { clock, random } = this.#deps;
    const { signal } = this.#closing;
    const delays = refusalBackoff.delays(random);
    while (true) {
      try {
        await store.exchange(topic, name, { kind: 'remove', tickMs: 0 });
        return;
      } catch (error) {
        if (signal.aborted || this.#running.has(name)) throw error;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = clock.schedule(delays.next().value ?? REMOVE_WAIT_MS, resolve, {
        holdsProcess: false,
      });
      await abortable(promise, signal).finally(() => timer.cancel());
    }
  }
}

function jobIdOf(name: string, tickMs: number): string {
  return `schedule ${name} ${tickMs}`;
}

function checkName(name: unknown): void {
  const fits =
    typeof name === 'string' &&
    name.length > 0 &&
    name.length <= MAX_NAME_LENGTH &&
    name.isWellFormed() &&
    !/[\p{Cc}{}]/u.test(name);
  if (fits) return;
  const permitted = `a string of 1 to ${MAX_NAME_LENGTH} characters without control characters or braces`;
  throw new InvalidOptionError('schedule', 'name', name, permitted);
}
