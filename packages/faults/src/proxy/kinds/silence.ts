import { parseOptions } from '@holdfast/foundation';
import { type FaultOptions, type Fault, faultShape } from '../fault.ts';

export type SilenceOptions = FaultOptions;

/**
 * Accepts new connections without a response; the server does not see them, as when it hangs before `accept`. After the
 * fault they continue to the server.
 */
export function silence(options: unknown): Fault {
  const common = parseOptions('silence', faultShape, options);
  return { ...common, direction: 'both', delaysDial: true };
}
