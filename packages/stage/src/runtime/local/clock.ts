import { prepareClock } from '@holdfast/faults';
import { isHoldfastError } from '@holdfast/foundation';
import { FaultUnsupportedError } from '../../errors.ts';
import type { ClockControl } from '../../handle/server-clock.ts';

/** The wall clock of one local server. */
interface LocalClock extends ClockControl {
  /** Called with the id of each of its processes. */
  launched(pid: number): void;
}

/**
 * @param directory where the server finds the clock; it is removed with the server's folder.
 * @throws FaultUnsupportedError
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
    const remedy = `Leave out 'serverClocks', or see checkHostFault('clock') of @holdfast/faults`;
    throw new FaultUnsupportedError(
      name,
      'give it a clock of its own',
      error.message,
      remedy,
      error,
    );
  }
}
