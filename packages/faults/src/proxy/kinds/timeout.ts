import { integer, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';

export interface TimeoutFaultOptions extends DirectionalFaultOptions {
  /** Milliseconds until both ends are closed, from when the fault applied to the connection. */
  timeoutMs: number;
}

const shape = { ...directionalShape, timeoutMs: integer({ min: 0, max: 86_400_000 }) };

/** Silence in one or both directions, then FIN, as a load balancer does with a server that does not respond. */
export function timeout(options: unknown): Fault {
  const { timeoutMs, ...common } = parseOptions('timeout', shape, options);
  return {
    ...common,
    holds: true,
    applyTo(connection, clock) {
      const timer = clock.schedule(timeoutMs, () => connection.close());
      return () => timer.cancel();
    },
  };
}
