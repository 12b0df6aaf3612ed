import { oneOf, parseOptions } from '@holdfast/foundation';
import { type Fault, type FaultSchedule, scheduleRule } from '../fault.ts';

export interface DownOptions {
  schedule?: FaultSchedule;
  /** What becomes of open connections: left alone, FIN, or RST. Default `reset`. */
  connections?: 'keep' | 'close' | 'reset';
}

const shape = {
  schedule: scheduleRule,
  connections: oneOf(['keep', 'close', 'reset'], 'reset'),
};

/** The address refuses connections, as when the server is not running. */
export function down(options: unknown): Fault {
  const { schedule, connections } = parseOptions('down', shape, options);
  return { probability: 1, schedule, direction: 'both', refuses: connections };
}
