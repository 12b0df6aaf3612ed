import { integer, parseOptions } from '@holdfast/foundation';
import { type FaultOptions, type Fault, faultShape } from '../fault.ts';

export interface ResetOptions extends FaultOptions {
  /** Milliseconds from when the fault applied to the connection. Default 0. */
  afterMs?: number;
}

const shape = { ...faultShape, afterMs: integer({ min: 0, max: 86_400_000, default: 0 }) };

/** Sends RST to both ends of each connection, idle and new ones too, while the fault is active. */
export function reset(options: unknown): Fault {
  const { afterMs, ...common } = parseOptions('reset', shape, options);
  return {
    ...common,
    direction: 'both',
    // Holds at once, because bytes that are ready may arrive before the timer.
    holds: afterMs === 0,
    delaysDial: afterMs === 0,
    applyTo(connection, clock) {
      const timer = clock.schedule(afterMs, () => connection.reset());
      return () => timer.cancel();
    },
  };
}
