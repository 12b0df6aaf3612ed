import { type Clock, HoldfastError, type Random, sleep } from '@holdfast/foundation';
import type { RegionDatabase } from '../../src/replicated/register-table.ts';

/** The faults of requests to a region, each as a fraction of the requests, 0 to 1. */
export interface RegionFaults {
  /** The longest delay in milliseconds of each direction, drawn at random. Default 0. */
  latencyMs?: number;
  /** Rejected before any effect, with that outcome. */
  refused?: number;
  /** The request is lost; the caller cannot know. */
  lostRequest?: number;
  /** Applied, and the reply lost. */
  lostReply?: number;
  /** Never answered, applied or not. */
  silent?: number;
  /** Acknowledged, but not applied: a broken region. */
  forgets?: number;
}

class RegionRefusedError extends HoldfastError {
  readonly code = 'REGION_REFUSED';

  constructor() {
    super('the region refused', { outcome: 'not-applied' });
  }
}

interface Row {
  readonly counter: number;
  readonly writer: string;
  readonly value: string;
}

/** The registers of one region in memory, without a Postgres. */
export class MemoryRegion implements RegionDatabase {
  readonly rows = new Map<string, Row>();
  readonly asked: string[] = [];
  faults: RegionFaults;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random, faults: RegionFaults = {}) {
    this.#clock = clock;
    this.#random = random;
    this.faults = faults;
  }

  async query(
    sql: string,
    values: readonly unknown[],
    { signal }: { signal: AbortSignal },
  ): Promise<{ rows: unknown[] }> {
    this.asked.push(sql.startsWith('insert') ? 'keep' : 'read');
    await this.#travel(signal);
    if (this.#occurs(this.faults.refused)) throw new RegionRefusedError();
    if (this.#occurs(this.faults.lostRequest)) throw new Error('connection lost');
    const isSilent = this.#occurs(this.faults.silent);
    // A silent region has applied half of the requests.
    const rows = isSilent && this.#occurs(0.5) ? [] : this.#run(sql, values);
    if (isSilent) await neverButAborted(signal);
    if (this.#occurs(this.faults.lostReply)) throw new Error('connection lost');
    await this.#travel(signal);
    return { rows };
  }

  #run(sql: string, [key, counter, writer, value]: readonly unknown[]): unknown[] {
    const held = this.rows.get(String(key));
    if (!sql.startsWith('insert')) {
      return held === undefined ? [] : [{ ...held, counter: String(held.counter) }];
    }
    if (this.#occurs(this.faults.forgets)) return [];
    const given = { counter: Number(counter), writer: String(writer), value: String(value) };
    const isNewer =
      held === undefined ||
      given.counter > held.counter ||
      (given.counter === held.counter && given.writer > held.writer);
    if (isNewer) this.rows.set(String(key), given);
    return [];
  }

  #occurs(share = 0): boolean {
    return share > 0 && this.#random() < share;
  }

  async #travel(signal: AbortSignal): Promise<void> {
    const { latencyMs = 0 } = this.faults;
    if (latencyMs > 0) await sleep(this.#clock, this.#random() * latencyMs, signal);
  }
}

function neverButAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
