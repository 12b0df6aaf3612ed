import { callback, type Clock, number, type Random } from '@holdfast/foundation';

/** How often a strategy strikes: a share of the calls, 0 to 1, fixed or asked for at each call. */
export type Rate = number | (() => number);

/** What a strategy may use while it strikes. */
export interface Strike {
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * One kind of trouble. `T` is what it may answer in place of the call; most kinds answer nothing.
 */
export interface ChaosStrategy<out T = never> {
  readonly kind: 'fault' | 'latency' | 'outcome' | 'stall';
  readonly rate: Rate;
  /** Makes the trouble. `proceed` goes on to the next strategy and then the call itself. */
  strike<R>(proceed: () => Promise<R>, strike: Strike): Promise<R | T>;
}

const share = number({ min: 0, max: 1 });
const dynamicShare = callback<() => number>();

/** Reads the `rate` option of every strategy. */
export const rateRule = {
  permitted: `${share.permitted}, or a function that returns one`,
  parse: (value: unknown, field: string, owner: string): Rate =>
    typeof value === 'function'
      ? dynamicShare.parse(value, field, owner)
      : share.parse(value, field, owner),
};
