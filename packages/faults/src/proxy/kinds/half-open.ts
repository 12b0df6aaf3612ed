import { integer, parseOptions } from '@holdfast/foundation';
import { type FaultOptions, type Fault, faultShape } from '../fault.ts';

export interface HalfOpenOptions extends FaultOptions {
  /** Milliseconds from when the fault applied to the connection. Default 0. */
  afterMs?: number;
}

const shape = { ...faultShape, afterMs: integer({ min: 0, max: 86_400_000, default: 0 }) };

/**
 * Drops the server's end without the client noticing, as when a host loses power: the client writes into silence. After
 * the fault its next byte is answered by RST, as by a host that has restarted.
 */
export function halfOpen(options: unknown): Fault {
  const { afterMs, ...common } = parseOptions('halfOpen', shape, options);
  return {
    ...common,
    direction: 'both',
    // Holds at once, because bytes that are ready may arrive before the timer.
    holds: afterMs === 0,
    applyTo(connection, clock) {
      let restore = (): void => {};
      const timer = clock.schedule(afterMs, () => {
        restore = connection.dropServer();
      });
      return () => {
        timer.cancel();
        restore();
      };
    },
  };
}
