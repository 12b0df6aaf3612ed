import type { CallDeadline, Clock } from '@holdfast/foundation';
import { ENOUGH, type QuorumPlan, type RoundResult, runRound } from './quorum-round.ts';
import { RegionOrder } from './region-order.ts';
import { type Register, RegisterTable } from './register-table.ts';
import type { ResolvedReplicatedOptions } from './replicated-options.ts';
import type { Version } from './version.ts';

/** The limits of one call. */
export interface QuorumCall {
  /** Also limits requests that go on when the call has returned. */
  readonly deadline: CallDeadline;
  /** The caller's own signal. */
  readonly signal: AbortSignal | undefined;
}

type Request<T> = (table: RegisterTable, signal: AbortSignal) => Promise<T>;

/** Asks the regions in rounds, the nearest first, and records how each responds. */
export class QuorumClient {
  readonly order: RegionOrder;
  hedges = 0;
  readonly #clock: Clock;
  readonly #hedgeDelayMs: number;
  readonly #readQuorum: number;
  readonly #tables: ReadonlyMap<string, RegisterTable>;

  constructor(options: ResolvedReplicatedOptions) {
    const { regions, table, clock } = options;
    this.#clock = clock;
    this.#hedgeDelayMs = options.hedgeDelayMs;
    this.#readQuorum = options.readQuorum;
    this.#tables = new Map(
      regions.map(({ name, database }) => [name, new RegisterTable(name, database, table)]),
    );
    this.order = new RegionOrder([...this.#tables.keys()], options.suspectMs, clock);
  }

  get size(): number {
    return this.#tables.size;
  }

  /** Reads the versions from a read quorum. */
  versions(key: string, call: QuorumCall): Promise<RoundResult<Version | undefined>> {
    return this.#readRound(call, this.#readQuorum, (table, signal) => table.version(key, signal));
  }

  /** Reads the registers of `needed` regions. */
  registers(
    key: string,
    needed: number,
    call: QuorumCall,
  ): Promise<RoundResult<Register | undefined>> {
    return this.#readRound(call, needed, (table, signal) => table.read(key, signal));
  }

  /**
   * Writes the register to all of `regions` at once; `needed` confirmations are enough.
   * @param trails whether the other requests go on after that.
   */
  write(
    key: string,
    register: Register,
    target: { regions: readonly string[]; needed: number; trails: boolean },
    call: QuorumCall,
  ): Promise<RoundResult<undefined>> {
    const { regions, needed, trails } = target;
    return this.#runRound(
      {
        regions,
        initialCount: regions.length,
        hedgeDelayMs: this.#hedgeDelayMs,
        isEnough: (answers) => answers.size >= needed,
        ...(trails ? { continueUntil: call.deadline.signal } : {}),
      },
      call,
      (table, signal) => table.write(key, register, signal),
    );
  }

  #readRound<T>(call: QuorumCall, needed: number, request: Request<T>): Promise<RoundResult<T>> {
    const regions = this.order.nearestFirst();
    const isEnough = (answers: ReadonlyMap<string, T>): boolean => answers.size >= needed;
    const hedgeDelayMs = this.#hedgeDelayMs;
    return this.#runRound({ regions, initialCount: needed, hedgeDelayMs, isEnough }, call, request);
  }

  async #runRound<T>(
    plan: Omit<QuorumPlan<T>, 'request'>,
    { deadline, signal }: QuorumCall,
    request: Request<T>,
  ): Promise<RoundResult<T>> {
    const signals = signal === undefined ? [deadline.signal] : [deadline.signal, signal];
    const measured = (region: string, stop: AbortSignal): Promise<T> =>
      this.#request(region, request, deadline, stop);
    const round = await runRound({ ...plan, request: measured }, this.#clock, signals);
    this.hedges += round.hedges;
    return round;
  }

  async #request<T>(
    region: string,
    request: Request<T>,
    deadline: CallDeadline,
    signal: AbortSignal,
  ): Promise<T> {
    const table = this.#tables.get(region);
    if (table === undefined) throw new TypeError(`${region} is no region of this store`);
    const sentMs = this.#clock.now();
    const elapsedMs = (): number => this.#clock.now() - sentMs;
    // The answer to an aborted request reaches nobody, so its duration is recorded here.
    const onAbort = (): void => {
      if (signal.reason === ENOUGH) this.order.recordAbandoned(region, elapsedMs());
      else if (deadline.cancellation?.kind === 'deadline') this.order.failed(region);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const answer = await request(table, signal);
      if (!signal.aborted) this.order.answered(region, elapsedMs());
      return answer;
    } catch (error) {
      if (!signal.aborted) this.order.failed(region);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
