import { oneOf, parseOptions } from '@holdfast/foundation';
import { type Fault, type FaultSchedule, scheduleRule } from '../fault.ts';

export interface DownOptions {
  schedule?: FaultSchedule;
  /** What happens to open connections: nothing, FIN, or RST. Default `reset`. */
  connections?: 'keep' | 'close' | 'reset';
}

const shape = {
  schedule: scheduleRule,
  connections: oneOf(['keep', 'close', 'reset'], 'reset'),
};

/** Refuses connections, as when the server is not running. */
export function down(options: unknown): Fault {
  const { schedule, connections } = parseOptions('down', shape, options);
  return { probability: 1, schedule, direction: 'both', refuses: connections };
}
