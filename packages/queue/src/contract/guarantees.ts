import { test } from '@jest/globals';

/**
 * What a store may leave out of the contract, if it says so.
 * - `marks`: jobs are known by their sequence, so each is added once, and a store that forgot is found out.
 * - `keys`: the jobs of a partition are handed out one at a time.
 * - `takeover`: `recover` hands over what nobody alive works on; else `fetch` does, by and by.
 * - `fairness`: no level of urgency starves.
 */
export type StoreGuarantee = 'deduplication' | 'keys' | 'takeover' | 'fairness';

/** A test, where the store promises what it needs; else left out by name. */
export type TestWith = (needs: StoreGuarantee, name: string, run: () => Promise<void>) => void;

export function testsWithout(without: readonly StoreGuarantee[]): TestWith {
  return (needs, name, run) => {
    // oxlint-disable-next-line jest/expect-expect -- what it is given to run asserts
    if (!without.includes(needs)) test(name, run);
    // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name says why
    else test.skip(`${name} (not promised: ${needs})`, run);
  };
}
