import { parseOptions } from '@holdfast/foundation';
import { type FaultOptions, type Fault, faultShape } from '../fault.ts';

export type SilenceOptions = FaultOptions;

/**
 * New connections are accepted and nothing answers; the server never sees them, as when it hangs before
 * its `accept`. When the fault goes they are carried on.
 */
export function silence(options: unknown): Fault {
  const aim = parseOptions('silence', faultShape, options);
  return { ...aim, direction: 'both', delaysDial: true };
}
