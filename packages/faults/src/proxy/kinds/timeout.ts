import { integer, readOptions } from '@holdfast/resilience';
import { type Aim, type Fault, aimShape } from '../fault.ts';

export interface TimeoutFaultOptions extends Aim {
  /** Milliseconds of silence until both ends are closed, from when the fault met the connection. */
  timeoutMs: number;
}

const shape = { ...aimShape, timeoutMs: integer({ min: 0, max: 86_400_000 }) };

/** Silence, then FIN: what a load balancer does to a server that does not answer. */
export function timeout(options: unknown): Fault {
  const { timeoutMs, ...aim } = readOptions('timeout', shape, options);
  return {
    ...aim,
    direction: 'both',
    holds: true,
    strike(connection, clock) {
      const timer = clock.schedule(timeoutMs, () => connection.close());
      return () => timer.cancel();
    },
  };
}
