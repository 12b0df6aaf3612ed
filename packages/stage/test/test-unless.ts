/* oxlint-disable jest/expect-expect, jest/no-disabled-tests -- it declares the tests of others; a name says why one is skipped */
import { test } from '@jest/globals';
import type { Availability } from '../src/system/availability.ts';

/** Declares a test of what this machine may not support: it is skipped then, and its name says why. */
export function testUnless(
  obstacle: string | undefined,
): (promise: string, work: () => Promise<void>, timeoutMs?: number) => void {
  return (promise, work, timeoutMs) => {
    if (obstacle === undefined) test(promise, work, timeoutMs);
    // The name carries the obstacle.
    else test.skip(`${promise} (${obstacle})`, work, timeoutMs);
  };
}

/** Why something is unavailable here, if it is. */
export function obstacleOf(support: Availability): string | undefined {
  return support.available ? undefined : `${support.reason}. ${support.remedy}`;
}
