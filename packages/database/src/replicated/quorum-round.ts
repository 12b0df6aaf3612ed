import { type Clock, type Timer, abortable } from '@holdfast/foundation';
import type { RegionOutcome } from './errors.ts';

export interface QuorumPlan<T> {
  /** In the order in which they are asked. */
  readonly regions: readonly string[];
  /** How many are asked at first; each failure, and each `hedgeDelayMs` without enough, adds one more. */
  readonly initialCount: number;
  readonly hedgeDelayMs: number;
  readonly request: (region: string, signal: AbortSignal) => Promise<T>;
  readonly isEnough: (answers: ReadonlyMap<string, T>) => boolean;
  /** When enough have answered, the other requests go on until this aborts; without it they are aborted. */
  readonly continueUntil?: AbortSignal;
}

export interface RoundResult<T> {
  readonly isEnough: boolean;
  readonly answers: ReadonlyMap<string, T>;
  readonly outcomes: readonly RegionOutcome[];
  /** Regions asked because the earlier ones were slow. */
  readonly hedges: number;
  /** If requests go on: resolves when each has been answered, failed or aborted. Never rejects. */
  readonly remainingRequests: Promise<void> | undefined;
}

/** The abort reason of a request that is not needed any more. */
export const ENOUGH: DOMException = new DOMException('enough regions have answered', 'AbortError');

/**
 * Asks regions until enough have answered, none is left, or a signal aborts; then resolves within one turn. Never
 * rejects: the caller decides what too few answers mean.
 */
export function runRound<T>(
  plan: QuorumPlan<T>,
  clock: Clock,
  signals: readonly AbortSignal[],
): Promise<RoundResult<T>> {
  return new QuorumRound(plan, clock, signals).run();
}

class QuorumRound<T> {
  readonly #plan: QuorumPlan<T>;
  readonly #clock: Clock;
  readonly #signals: readonly AbortSignal[];
  readonly #answers = new Map<string, T>();
  readonly #failures = new Map<string, unknown>();
  readonly #requests: Promise<void>[] = [];
  readonly #requesting = new AbortController();
  readonly #onAbort = (): void => this.#end(true);
  #resolve: (result: RoundResult<T>) => void = () => undefined;
  #hedges = 0;
  #isOver = false;
  #hedgeTimer: Timer | undefined;

  constructor(plan: QuorumPlan<T>, clock: Clock, signals: readonly AbortSignal[]) {
    this.#plan = plan;
    this.#clock = clock;
    this.#signals = signals;
  }

  run(): Promise<RoundResult<T>> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.#aborted() !== undefined) {
        this.#end(true);
        return;
      }
      for (const signal of this.#signals) signal.addEventListener('abort', this.#onAbort);
      const { initialCount, regions } = this.#plan;
      while (this.#requests.length < Math.min(initialCount, regions.length)) this.#requestNext();
      this.#armHedge();
      this.#endIfDecided();
    });
  }

  #aborted(): AbortSignal | undefined {
    return this.#signals.find((signal) => signal.aborted);
  }

  #end(isAborted: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#hedgeTimer?.cancel();
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#onAbort);
    const { regions, isEnough, continueUntil } = this.#plan;
    const isPending = this.#settledCount() < this.#requests.length;
    const rest =
      !isAborted && continueUntil !== undefined && isPending
        ? this.#trail(continueUntil)
        : undefined;
    this.#resolve({
      isEnough: isEnough(this.#answers),
      answers: new Map(this.#answers),
      outcomes: regions.map((region, index) => this.#outcomeOf(region, index)),
      hedges: this.#hedges,
      remainingRequests: rest,
    });
    if (rest === undefined) this.#requesting.abort(this.#aborted()?.reason ?? ENOUGH);
  }

  async #trail(until: AbortSignal): Promise<void> {
    const stop = (): void => this.#requesting.abort(until.reason);
    until.addEventListener('abort', stop);
    await Promise.all(this.#requests);
    until.removeEventListener('abort', stop);
  }

  #outcomeOf(region: string, index: number): RegionOutcome {
    if (this.#answers.has(region)) return { region, status: 'answered' };
    if (this.#failures.has(region)) {
      return { region, status: 'failed', error: this.#failures.get(region) };
    }
    return { region, status: index < this.#requests.length ? 'pending' : 'not-asked' };
  }

  #settledCount(): number {
    return this.#answers.size + this.#failures.size;
  }

  #endIfDecided(): void {
    const { regions, isEnough } = this.#plan;
    if (isEnough(this.#answers) || this.#settledCount() === regions.length) this.#end(false);
  }

  #requestNext(): void {
    const region = this.#plan.regions[this.#requests.length];
    if (region !== undefined) this.#requests.push(this.#request(region));
  }

  async #request(region: string): Promise<void> {
    const { signal } = this.#requesting;
    try {
      const answer = await abortable(this.#plan.request(region, signal), signal);
      if (this.#isOver) return;
      this.#answers.set(region, answer);
    } catch (error) {
      if (this.#isOver) return;
      this.#failures.set(region, error);
      this.#requestNext();
    }
    this.#endIfDecided();
  }

  #armHedge(): void {
    if (this.#requests.length >= this.#plan.regions.length || this.#isOver) return;
    this.#hedgeTimer = this.#clock.schedule(this.#plan.hedgeDelayMs, () => {
      this.#hedges += 1;
      this.#requestNext();
      this.#armHedge();
    });
  }
}
