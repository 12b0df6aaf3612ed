/* oxlint-disable jest/expect-expect, jest/no-disabled-tests -- it declares the tests of others; a name says why one is skipped */
import { test } from '@jest/globals';
import { type HostFaultKind, planHostFault } from '@holdfast/faults';

/** Declares a test of what this machine may be unable to do: then it is skipped, and its name says why. */
export function testUnless(
  obstacle: string | undefined,
): (promise: string, work: () => Promise<void>, timeoutMs?: number) => void {
  return (promise, work, timeoutMs) => {
    if (obstacle === undefined) test(promise, work, timeoutMs);
    // The name carries the obstacle.
    else test.skip(`${promise} (${obstacle})`, work, timeoutMs);
  };
}

/** Why a fault cannot be had on this machine; `undefined` when it can. */
export async function obstacleTo(kind: HostFaultKind): Promise<string | undefined> {
  const plan = await planHostFault(kind);
  return plan.available ? undefined : plan.reason;
}
