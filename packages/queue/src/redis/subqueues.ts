import { type Clock, sleep } from '@holdfast/foundation';
import type { Delivery } from '../backend.ts';
import { WeightedRoundRobin } from '../producer/scheduling.ts';
import { takeFromSubqueuesScript } from './scripts/subqueue-scripts.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import { readTaken } from './replies.ts';
import { runScript } from './scripts/script.ts';

export interface SubqueuesDeps {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** Where it is waited for news. */
  readonly fetching: ManagedConnection;
  readonly telling: ManagedConnection;
  readonly clock: Clock;
  /** How long one wait may last, in milliseconds. */
  readonly blockMs: number;
}

/** Takes jobs of a topic that has levels or partitions. */
export class Subqueues {
  readonly #parts: SubqueuesDeps;
  readonly #turns = new WeightedRoundRobin();
  #begin = 0;
  /** A wait for news that has outlived the fetch it was for. */
  #news: Promise<unknown> | undefined;
  #onFree: () => void = () => undefined;

  constructor(parts: SubqueuesDeps) {
    this.#parts = parts;
  }

  async fetch(max: number, waitMs: number): Promise<Delivery[]> {
    // Asked for before, so that what this consumer gives free meanwhile is not missed.
    const free = new Promise<void>((resolve) => (this.#onFree = resolve));
    const { deliveries, notify, newest } = await this.#take(max);
    if (deliveries.length > 0) return deliveries;
    const over = new AbortController();
    const late = sleep(this.#parts.clock, waitMs, over.signal).catch(() => undefined);
    await Promise.race([this.#untilNews(notify, newest), free, late]);
    over.abort();
    return (await this.#take(max)).deliveries;
  }

  /** This consumer is done with a job, so the next one of its partition may be had. */
  freed(): void {
    this.#onFree();
  }

  async #take(max: number): Promise<ReturnType<typeof readTaken>> {
    const { group, consumer, stream, telling } = this.#parts;
    const { high, normal, low } = this.#turns.shares(max);
    const args = [group, consumer, max, high, normal, low, this.#begin];
    this.#begin += 1;
    const reply = await telling.call((client) =>
      runScript(client, takeFromSubqueuesScript, [stream], args),
    );
    const taken = readTaken(reply);
    this.#turns.giveBack(max - taken.deliveries.length);
    return taken;
  }

  /** Something came to one of the streams since. */
  #untilNews(notify: string, newest: string): Promise<unknown> {
    const { fetching, stream, blockMs } = this.#parts;
    const streams = ['STREAMS', `${stream}:notify`, stream, notify, newest];
    this.#news ??= fetching
      .call((client) => client.call('XREAD', 'COUNT', 1, 'BLOCK', blockMs, ...streams), blockMs)
      .finally(() => (this.#news = undefined));
    return this.#news;
  }
}
