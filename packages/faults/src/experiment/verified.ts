import { type Clock, settlesWithin } from '@holdfast/foundation';
import { withTimeout } from '@holdfast/resilience';

/**
 * Returns what `verify` rejected with, or undefined. The process is held meanwhile, also when nothing else does.
 * @throws the signal's reason
 */
export async function verified(
  verify: (signal: AbortSignal) => unknown,
  limits: { name: string; timeoutMs: number; clock: Clock },
  signal: AbortSignal,
): Promise<unknown> {
  const work = withTimeout(async (limit) => verify(limit), { ...limits, signal });
  // The timeout does not hold the process.
  await settlesWithin(limits.clock, 2 * limits.timeoutMs, work);
  try {
    await work;
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return error ?? new Error('verify rejected with nothing');
  }
}
