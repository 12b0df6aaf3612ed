import { prepareClock } from '@holdfast/faults';
import { isHoldfastError } from '@holdfast/foundation';
import { FaultUnsupportedError } from '../../errors.ts';
import type { ClockControl } from '../../handle/server-clock.ts';

/** A clock for one server, and how it comes to read it. */
export interface LocalClock extends ClockControl {
  /** Is told the number of each of its processes. */
  launched(pid: number): void;
}

/**
 * @param directory where what the server has to find is put; it goes with the server's folder.
 * @throws FaultUnsupportedError with the reason
 */
export async function createLocalClock(
  name: string,
  program: string,
  directory: string,
): Promise<LocalClock> {
  let current: number | undefined;
  try {
    const clock = await prepareClock({ program, directory });
    return {
      clock,
      launched: (pid) => void (current = pid),
      isRead: async () => current === undefined || clock.isReadBy(current),
    };
  } catch (error) {
    if (!isHoldfastError(error) || error.code !== 'FAULTS_HOST_FAULT_UNAVAILABLE') throw error;
    const remedy = `Leave out 'serverClocks', or see planHostFault('clock') of @holdfast/faults`;
    throw new FaultUnsupportedError(
      name,
      'give it a clock of its own',
      error.message,
      remedy,
      error,
    );
  }
}
