import { type Clock, describeThrown, sleep } from '@holdfast/foundation';
import type { DemoLedger } from '../demo/ledger.ts';

const TICK_MS = 5;

interface OfferedLoadOptions {
  readonly ledger: DemoLedger;
  readonly perSecond: number;
  readonly clock: Clock;
  /** Hands one over; resolves when it is accepted. */
  readonly handOver: (number: number) => Promise<unknown>;
  /** Whether the server is away at this moment. */
  readonly isAway: () => boolean;
}

/** Hands over at a steady rate, without waiting for answers. */
export class OfferedLoad {
  readonly #options: OfferedLoadOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  readonly #answers: Promise<void>[] = [];
  #offeredAway = 0;
  #acceptedAway = 0;

  constructor(options: OfferedLoadOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Offered while the server was away, and how many of these were accepted before it was back. */
  get away(): { readonly offered: number; readonly accepted: number } {
    return { offered: this.#offeredAway, accepted: this.#acceptedAway };
  }

  /** Ends the load, and waits so long for the answers that are missing. */
  async stop(answeredWithinMs: number): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    const { clock } = this.#options;
    await Promise.race([Promise.all(this.#answers), sleep(clock, answeredWithinMs)]);
  }

  async #run(): Promise<void> {
    const { ledger, perSecond, clock } = this.#options;
    const startedMs = clock.now();
    let offered = 0;
    while (!this.#stopping.signal.aborted) {
      const due = ((clock.now() - startedMs) / 1_000) * perSecond;
      for (; offered < due; offered += 1) this.#answers.push(this.#offer(ledger.next()));
      await sleep(clock, TICK_MS, this.#stopping.signal).catch(() => undefined);
    }
  }

  async #offer(number: number): Promise<void> {
    const { ledger, isAway, handOver } = this.#options;
    const wasAway = isAway();
    if (wasAway) this.#offeredAway += 1;
    try {
      await handOver(number);
      if (wasAway && isAway()) this.#acceptedAway += 1;
      ledger.accept(number, !wasAway);
    } catch (error) {
      ledger.reject(number, false, describeThrown(error));
    }
  }
}
