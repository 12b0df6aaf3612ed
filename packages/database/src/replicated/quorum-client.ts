import type { Clock } from '@holdfast/foundation';
import type { Limit } from './limit.ts';
import { RegionOrder } from './region-order.ts';
import {
  type Register,
  type RegisterTable,
  type RegionDatabase,
  registerTable,
} from './register-table.ts';
import type { SettledReplicatedOptions } from './replicated-options.ts';
import { ENOUGH, type RoundPlan, type RoundResult, playRound } from './quorum-round.ts';
import type { Version } from './version.ts';

interface Member {
  readonly database: RegionDatabase;
  readonly table: RegisterTable;
}

type Question<T> = (member: Member, signal: AbortSignal) => Promise<T>;

/** Asks the regions in rounds, the nearest first, and remembers how each one took it. */
export class RegionTeam {
  readonly order: RegionOrder;
  hedges = 0;
  readonly #clock: Clock;
  readonly #hedgeDelayMs: number;
  readonly #readQuorum: number;
  readonly #members: ReadonlyMap<string, Member>;

  constructor(settled: SettledReplicatedOptions) {
    const { regions, table, clock } = settled;
    this.#clock = clock;
    this.#hedgeDelayMs = settled.hedgeDelayMs;
    this.#readQuorum = settled.readQuorum;
    this.#members = new Map(
      regions.map(({ name, database }) => [name, { database, table: registerTable(name, table) }]),
    );
    this.order = new RegionOrder([...this.#members.keys()], settled.suspectMs, clock);
  }

  get size(): number {
    return this.#members.size;
  }

  /** The versions that a read quorum holds. */
  versions(key: string, limit: Limit): Promise<RoundResult<Version | undefined>> {
    return this.#readRound(limit, this.#readQuorum, ({ table, database }, signal) =>
      table.version(database, key, signal),
    );
  }

  /** The registers that so many regions hold. */
  registers(key: string, wanted: number, limit: Limit): Promise<RoundResult<Register | undefined>> {
    return this.#readRound(limit, wanted, ({ table, database }, signal) =>
      table.read(database, key, signal),
    );
  }

  /**
   * Gives the register to all of `regions` at once; enough are `wanted`.
   * @param trails whether the others go on when enough have it.
   */
  keep(
    key: string,
    register: Register,
    call: { regions: readonly string[]; wanted: number; limit: Limit; trails: boolean },
  ): Promise<RoundResult<undefined>> {
    const { regions, wanted, limit, trails } = call;
    return this.#play(
      {
        regions,
        atOnce: regions.length,
        hedgeDelayMs: this.#hedgeDelayMs,
        isEnough: (answers) => answers.size >= wanted,
        ...(trails ? { othersEnd: limit.own } : {}),
      },
      limit,
      ({ table, database }, signal) => table.keep(database, key, register, signal),
    );
  }

  #readRound<T>(limit: Limit, wanted: number, question: Question<T>): Promise<RoundResult<T>> {
    const regions = this.order.nearestFirst();
    const isEnough = (answers: ReadonlyMap<string, T>): boolean => answers.size >= wanted;
    const plan = { regions, atOnce: wanted, hedgeDelayMs: this.#hedgeDelayMs, isEnough };
    return this.#play(plan, limit, question);
  }

  async #play<T>(
    plan: Omit<RoundPlan<T>, 'ask'>,
    limit: Limit,
    question: Question<T>,
  ): Promise<RoundResult<T>> {
    const ask = async (region: string, signal: AbortSignal): Promise<T> => {
      const member = this.#members.get(region);
      if (member === undefined) throw new TypeError(`${region} is no region of this store`);
      const askedMs = this.#clock.now();
      // A question that is given up is answered to nobody, so its end is noted here.
      const onAbort = (): void => {
        if (signal.reason === ENOUGH) this.order.outlasted(region, this.#clock.now() - askedMs);
        else if (limit.isExpired()) this.order.failed(region);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        const answer = await question(member, signal);
        if (!signal.aborted) this.order.answered(region, this.#clock.now() - askedMs);
        return answer;
      } catch (error) {
        if (!signal.aborted) this.order.failed(region);
        throw error;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    };
    const round = await playRound({ ...plan, ask }, this.#clock, limit.signal);
    this.hedges += round.hedges;
    return round;
  }
}
