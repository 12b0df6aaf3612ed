import { integer, parseOptions } from '@holdfast/foundation';
import { type FaultOptions, type Fault, faultShape } from '../fault.ts';

export interface HalfOpenOptions extends FaultOptions {
  /** Milliseconds from when the fault met the connection. Default 0. */
  afterMs?: number;
}

const shape = { ...faultShape, afterMs: integer({ min: 0, max: 86_400_000, default: 0 }) };

/**
 * The server loses the connection and the client is not told, as when a host loses power: the client
 * writes into silence. Once the fault has gone, its next byte is answered by RST, as by a host that came
 * back and knows nothing.
 */
export function halfOpen(options: unknown): Fault {
  const { afterMs, ...aim } = parseOptions('halfOpen', shape, options);
  return {
    ...aim,
    direction: 'both',
    // So that no answer gets through first: what the sockets have ready may come before the timer.
    holds: afterMs === 0,
    applyTo(connection, clock) {
      let comeBack = (): void => {};
      const timer = clock.schedule(afterMs, () => {
        comeBack = connection.dropServer();
      });
      return () => {
        timer.cancel();
        comeBack();
      };
    },
  };
}
