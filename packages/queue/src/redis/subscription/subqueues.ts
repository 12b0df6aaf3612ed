import { type Clock, sleep } from '@holdfast/foundation';
import type { Delivery } from '../../backend.ts';
import { WeightedRoundRobin } from '../../producer/scheduling.ts';
import type { ManagedConnection } from '../connection/managed-connection.ts';
import type { TopicKeys } from '../keys.ts';
import { isMaintenanceDue, parseEntries, parseTaken } from '../replies.ts';
import { runScript } from '../scripts/script.ts';
import { takeFromSubqueuesScript } from '../scripts/subqueue-scripts.ts';
import type { ReadWindow } from './read-window.ts';

interface SubqueuesDeps {
  readonly keys: TopicKeys;
  readonly group: string;
  readonly consumer: string;
  /** The connection for blocking reads. */
  readonly blocking: ManagedConnection;
  readonly commands: ManagedConnection;
  readonly clock: Clock;
  readonly window: ReadWindow;
  /** Looks for jobs that are due or were handed back. */
  readonly maintain: (max: number) => Promise<Delivery[]>;
  /** A delayed job is due in this time; negative when there is none. */
  readonly expectDue: (dueInMs: number) => void;
}

/** Where the notify stream and the main stream ended when the jobs were taken. */
interface Position {
  readonly notified: string;
  readonly newest: string;
}

const START: Position = { notified: '0-0', newest: '0-0' };

/** Takes jobs of a topic that has priority levels or partitions. */
export class Subqueues {
  readonly #deps: SubqueuesDeps;
  readonly #roundRobin = new WeightedRoundRobin();
  #begin = 0;
  /** Set while there was nothing to take, and no news since. */
  #idleAt: Position | undefined;
  /** The wait before was in vain as well. */
  #hasWaited = false;
  /** A blocking read, which may outlast the fetch that started it. Resolves with its reply. */
  #notification: Promise<unknown> | undefined;
  #onJobDone: () => void = () => undefined;

  constructor(deps: SubqueuesDeps) {
    this.#deps = deps;
  }

  async fetch(max: number, waitMs: number, signal: AbortSignal | undefined): Promise<Delivery[]> {
    // Created before the script runs, so that a job finished meanwhile is not missed.
    const jobDone = new Promise<'job done'>((resolve) => {
      this.#onJobDone = () => {
        this.#idleAt = undefined;
        resolve('job done');
      };
    });
    const taken = this.#idleAt === undefined ? await this.#take(max) : undefined;
    if (taken !== undefined && taken.deliveries.length > 0) return taken.deliveries;
    if (signal?.aborted === true) return [];
    const position = taken ?? this.#idleAt ?? START;
    this.#idleAt = position;
    const news = await this.#waitForNews(position, { jobDone, waitMs, signal });
    if (news === undefined) {
      // Another consumer that freed a partition takes its next job itself, unless it died or is held back.
      if (this.#hasWaited) this.#idleAt = undefined;
      this.#hasWaited = !this.#hasWaited;
      return [];
    }
    this.#idleAt = undefined;
    const isDue = news !== 'job done' && isMaintenanceDue(this.#notifications(news));
    const returned = isDue ? await this.#deps.maintain(max) : [];
    if (returned.length > 0) return returned;
    return (await this.#take(max)).deliveries;
  }

  /** This consumer has finished a job, so the next one of its partition may be available. */
  jobDone(): void {
    this.#onJobDone();
  }

  #notifications(reply: unknown): unknown[] {
    return parseEntries(reply, `${this.#deps.keys.stream}:notify`);
  }

  async #take(max: number): Promise<Position & { readonly deliveries: Delivery[] }> {
    const { group, consumer, keys, commands, window, expectDue } = this.#deps;
    const most = window.jobs(max);
    const { high, normal, low } = this.#roundRobin.shares(most);
    const args = [group, consumer, most, high, normal, low, this.#begin];
    this.#begin += 1;
    const reply = await commands.call(
      (client) => runScript(client, takeFromSubqueuesScript, [keys.stream, keys.delayed], args),
      0,
      true,
    );
    const taken = parseTaken(reply);
    expectDue(taken.dueInMs);
    window.record(taken.deliveries);
    this.#roundRobin.giveBack(most - taken.deliveries.length);
    return taken;
  }

  /** The reply of the blocking read, if it has news, or that a job is done; `undefined` when neither came in time. */
  async #waitForNews(
    position: Position,
    wait: {
      readonly jobDone: Promise<'job done'>;
      readonly waitMs: number;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<unknown> {
    const { clock } = this.#deps;
    const over = new AbortController();
    const either = AbortSignal.any([over.signal, ...(wait.signal ? [wait.signal] : [])]);
    const late = sleep(clock, wait.waitMs, either).catch(() => undefined);
    try {
      const news = await Promise.race([
        this.#waitForNotification(position, wait.waitMs),
        wait.jobDone,
        late,
      ]);
      return news ?? undefined;
    } finally {
      over.abort();
    }
  }

  /** Resolves when a job has been added to one of the streams, or after `blockMs`. */
  #waitForNotification({ notified, newest }: Position, blockMs: number): Promise<unknown> {
    const { blocking, keys } = this.#deps;
    const { stream } = keys;
    const command = ['COUNT', 1, 'BLOCK', blockMs];
    const streams = ['STREAMS', `${stream}:notify`, stream, notified, newest];
    this.#notification ??= blocking
      .call((client) => client.call('XREAD', ...command, ...streams), blockMs, true)
      .finally(() => (this.#notification = undefined));
    // Its failure is that of the fetch that waits for it; a later one may come when nobody waits.
    this.#notification.catch(() => undefined);
    return this.#notification;
  }
}
