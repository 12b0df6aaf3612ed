import { parseOptions } from '@holdfast/foundation';
import { type Aim, type Fault, aimShape } from '../fault.ts';

export type SilenceOptions = Aim;

/**
 * New connections are accepted and nothing answers; the server never sees them, as when it hangs before
 * its `accept`. When the fault goes they are carried on.
 */
export function silence(options: unknown): Fault {
  const aim = parseOptions('silence', aimShape, options);
  return { ...aim, direction: 'both', keepsFromServer: true };
}
