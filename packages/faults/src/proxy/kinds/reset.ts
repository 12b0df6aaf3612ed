import { integer, parseOptions } from '@holdfast/foundation';
import { type FaultOptions, type Fault, faultShape } from '../fault.ts';

export interface ResetOptions extends FaultOptions {
  /** Milliseconds from when the fault met the connection. Default 0. */
  afterMs?: number;
}

const shape = { ...faultShape, afterMs: integer({ min: 0, max: 86_400_000, default: 0 }) };

/** RST to both ends of each connection, idle ones and new ones too, while the fault is in force. */
export function reset(options: unknown): Fault {
  const { afterMs, ...aim } = parseOptions('reset', shape, options);
  return {
    ...aim,
    direction: 'both',
    // So that no answer gets through first: what the sockets have ready may come before the timer.
    holds: afterMs === 0,
    delaysDial: afterMs === 0,
    applyTo(connection, clock) {
      const timer = clock.schedule(afterMs, () => connection.reset());
      return () => timer.cancel();
    },
  };
}
