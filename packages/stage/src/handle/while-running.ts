import { isHoldfastError } from '@holdfast/foundation';
import { ServerUnreachableError, StageStateError } from '../errors.ts';
import type { ServerHandle } from './handle.ts';

/**
 * Asks a server, which has to run for that.
 * @param signal whose reason passes unchanged.
 * @throws StageStateError when it does not run, ServerUnreachableError when the connection to it fails.
 */
export async function whileRunning<T>(
  server: ServerHandle,
  verb: string,
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
): Promise<T> {
  const { name, state } = server;
  if (state !== 'running') throw new StageStateError(name, verb, state, ['running']);
  try {
    return await ask();
  } catch (error) {
    if (isHoldfastError(error) || signal?.aborted === true) throw error;
    throw new ServerUnreachableError(name, verb, server.state, error);
  }
}
