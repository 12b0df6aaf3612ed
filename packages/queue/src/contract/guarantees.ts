import { describe, test } from '@jest/globals';
import type { QueueOptions } from '../options.ts';
import type { Queue } from '../queue.ts';

/**
 * The guarantees that a store may leave out of the contract.
 * - `deduplication`: the store knows jobs by their sequence, so it adds each once and detects lost ones.
 * - `keys`: the store delivers the jobs of a partition one at a time.
 * - `takeover`: `recover` hands over orphaned jobs; without it, `fetch` delivers them later.
 * - `fairness`: no priority level starves.
 * - `outcomes`: the store keeps the outcomes and the progress of jobs.
 * - `operations`: the store applies all operations, such as `pause`.
 * - `full-control`: the store cancels jobs that consumers hold, too, and reschedules those that wait.
 * - `schedules`: the store keeps what processes share of their schedules.
 * - `limits`: the store grants what consumers share.
 * - `debounce`: the store merges jobs of one key that are enqueued within a window.
 * - `expiry`: the store keeps until when a job is worth running.
 */
export type StoreGuarantee =
  | 'deduplication'
  | 'keys'
  | 'takeover'
  | 'fairness'
  | 'operations'
  | 'full-control'
  | 'outcomes'
  | 'schedules'
  | 'debounce'
  | 'limits'
  | 'expiry';

/** Opens a queue for one test, with these options besides its own. */
export type OpenContractQueue = (options?: Pick<QueueOptions, 'topics'>) => Promise<Queue>;

export type DeclareTest = (name: string, run: () => Promise<void>) => void;

/** Declares tests that need a guarantee; they are skipped by name when the store does not give it. */
export function testsWithout(
  without: readonly StoreGuarantee[],
): (needs: StoreGuarantee) => DeclareTest {
  return (needs) => (name, run) => {
    // oxlint-disable-next-line jest/expect-expect -- `run` contains the assertions
    if (!without.includes(needs)) test(name, run);
    // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name tells the reason
    else test.skip(`${name} (not guaranteed: ${needs})`, run);
  };
}

/** Declares the tests of one guarantee under its title. */
export function group(title: string, declare: () => void): void {
  // oxlint-disable-next-line jest/valid-describe-callback, jest/valid-title -- the caller passes both
  describe(title, declare);
}
