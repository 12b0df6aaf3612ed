import { type Clock, sleep } from '@holdfast/foundation';
import type { Delivery } from '../backend.ts';
import { WeightedRoundRobin } from '../producer/scheduling.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import { parseTaken } from './replies.ts';
import { runScript } from './scripts/script.ts';
import { takeFromSubqueuesScript } from './scripts/subqueue-scripts.ts';

interface SubqueuesDeps {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** The connection for blocking reads. */
  readonly blocking: ManagedConnection;
  readonly commands: ManagedConnection;
  readonly clock: Clock;
  /** The longest blocking read, in milliseconds. */
  readonly blockMs: number;
}

/** Takes jobs of a topic that has priority levels or partitions. */
export class Subqueues {
  readonly #deps: SubqueuesDeps;
  readonly #roundRobin = new WeightedRoundRobin();
  #begin = 0;
  /** A blocking read, which may outlast the fetch that started it. */
  #notification: Promise<unknown> | undefined;
  #onJobDone: () => void = () => undefined;

  constructor(deps: SubqueuesDeps) {
    this.#deps = deps;
  }

  async fetch(max: number, waitMs: number): Promise<Delivery[]> {
    // Created before the script runs, so that a job finished meanwhile is not missed.
    const jobDone = new Promise<void>((resolve) => (this.#onJobDone = resolve));
    const { deliveries, notified, newest } = await this.#take(max);
    if (deliveries.length > 0) return deliveries;
    const over = new AbortController();
    const late = sleep(this.#deps.clock, waitMs, over.signal).catch(() => undefined);
    await Promise.race([this.#waitForNotification(notified, newest), jobDone, late]);
    over.abort();
    return (await this.#take(max)).deliveries;
  }

  /** This consumer has finished a job, so the next one of its partition may be available. */
  jobDone(): void {
    this.#onJobDone();
  }

  async #take(max: number): Promise<ReturnType<typeof parseTaken>> {
    const { group, consumer, stream, commands } = this.#deps;
    const { high, normal, low } = this.#roundRobin.shares(max);
    const args = [group, consumer, max, high, normal, low, this.#begin];
    this.#begin += 1;
    const reply = await commands.call((client) =>
      runScript(client, takeFromSubqueuesScript, [stream], args),
    );
    const taken = parseTaken(reply);
    this.#roundRobin.giveBack(max - taken.deliveries.length);
    return taken;
  }

  /** Resolves when a job has been added to one of the streams, or after `blockMs`. */
  #waitForNotification(notified: string, newest: string): Promise<unknown> {
    const { blocking, stream, blockMs } = this.#deps;
    const streams = ['STREAMS', `${stream}:notify`, stream, notified, newest];
    this.#notification ??= blocking
      .call((client) => client.call('XREAD', 'COUNT', 1, 'BLOCK', blockMs, ...streams), blockMs)
      .finally(() => (this.#notification = undefined));
    return this.#notification;
  }
}
