/* oxlint-disable jest/expect-expect, jest/no-disabled-tests -- it declares the tests of others; a name says why one is skipped */
import { test } from '@jest/globals';
import { type HostFaultKind, checkHostFault } from '@holdfast/faults';

/** Declares a test that is skipped, with the reason in its name, when this machine lacks what it needs. */
export function testUnless(
  obstacle: string | undefined,
): (promise: string, work: () => Promise<void>, timeoutMs?: number) => void {
  return (promise, work, timeoutMs) => {
    if (obstacle === undefined) test(promise, work, timeoutMs);
    // The name carries the obstacle.
    else test.skip(`${promise} (${obstacle})`, work, timeoutMs);
  };
}

/** Returns why a fault is not available on this machine, or `undefined`. */
export async function obstacleTo(kind: HostFaultKind): Promise<string | undefined> {
  const availability = await checkHostFault(kind);
  return availability.available ? undefined : `${availability.reason}; ${availability.remedy}`;
}
