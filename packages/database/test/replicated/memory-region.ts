import { type Clock, HoldfastError, type Random, sleep } from '@holdfast/foundation';
import type { RegionDatabase } from '../../src/replicated/register-table.ts';

/** What may go wrong with a question to a region; each a share of the questions, 0 to 1. */
export interface RegionFaults {
  /** Milliseconds there, and as many back, drawn up to this for each way. Default 0. */
  latencyMs?: number;
  /** Refused before anything was done, and said so. */
  refused?: number;
  /** Lost on the way there; the caller cannot know. */
  lostRequest?: number;
  /** Done, and the answer lost. */
  lostReply?: number;
  /** Never answered, done or not. */
  silent?: number;
  /** Acknowledged, but not done: no honest region does it. */
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

/** The registers of one region, without a Postgres around them. */
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
    if (this.#strikes(this.faults.refused)) throw new RegionRefusedError();
    if (this.#strikes(this.faults.lostRequest)) throw new Error('connection lost');
    const isSilent = this.#strikes(this.faults.silent);
    // A silent region has done what it was asked as often as not.
    const rows = isSilent && this.#strikes(0.5) ? [] : this.#run(sql, values);
    if (isSilent) await neverButAborted(signal);
    if (this.#strikes(this.faults.lostReply)) throw new Error('connection lost');
    await this.#travel(signal);
    return { rows };
  }

  #run(sql: string, [key, counter, writer, value]: readonly unknown[]): unknown[] {
    const held = this.rows.get(String(key));
    if (!sql.startsWith('insert')) {
      return held === undefined ? [] : [{ ...held, counter: String(held.counter) }];
    }
    if (this.#strikes(this.faults.forgets)) return [];
    const given = { counter: Number(counter), writer: String(writer), value: String(value) };
    const isNewer =
      held === undefined ||
      given.counter > held.counter ||
      (given.counter === held.counter && given.writer > held.writer);
    if (isNewer) this.rows.set(String(key), given);
    return [];
  }

  #strikes(share = 0): boolean {
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
