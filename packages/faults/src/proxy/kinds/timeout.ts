import { integer, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';

export interface TimeoutFaultOptions extends DirectionalFaultOptions {
  /** Milliseconds of silence until both ends are closed, from when the fault met the connection. */
  timeoutMs: number;
}

const shape = { ...directionalShape, timeoutMs: integer({ min: 0, max: 86_400_000 }) };

/** Silence, both ways or one, then FIN: what a load balancer does to a server that does not answer. */
export function timeout(options: unknown): Fault {
  const { timeoutMs, ...aim } = parseOptions('timeout', shape, options);
  return {
    ...aim,
    holds: true,
    applyTo(connection, clock) {
      const timer = clock.schedule(timeoutMs, () => connection.close());
      return () => timer.cancel();
    },
  };
}
