import {
  type Clock,
  HoldfastError,
  hideCredentials,
  propertyOf,
  sleep,
  withDeadline,
} from '@holdfast/foundation';
import type { BackupPlace } from './places/place.ts';

/** A place has not answered in time. */
class PlaceTimeoutError extends HoldfastError {
  readonly code = 'BACKUP_PLACE_TIMEOUT';

  constructor(name: string, timeoutMs: number) {
    super(`the place ${name} has not answered in ${timeoutMs} ms`, { retryable: true });
  }
}

/** How places are called. */
export interface PlaceCalls {
  readonly clock: Clock;
  readonly placeTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const ATTEMPTS = 3;
const FIRST_DELAY_MS = 200;

/** Calls a place, up to three times, each with a deadline. */
export async function callPlace<T>(
  { clock, placeTimeoutMs, signal }: PlaceCalls,
  { name }: BackupPlace,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = (): Error => new PlaceTimeoutError(name, placeTimeoutMs);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await withDeadline(clock, placeTimeoutMs, signal, late, async (inner) => {
        const ended = new Promise<never>((_, reject) => {
          inner.addEventListener('abort', () => reject(inner.reason), { once: true });
        });
        return Promise.race([call(inner), ended]);
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt === ATTEMPTS) throw error;
    }
    await sleep(clock, FIRST_DELAY_MS * 2 ** (attempt - 1), signal);
  }
}

/** What a failure says, without credentials. */
export function describeFailure(error: unknown): string {
  const code = propertyOf(error, 'code') ?? propertyOf(error, 'name');
  const message = hideCredentials(String(propertyOf(error, 'message')));
  return typeof code === 'string' && !message.includes(code) ? `${code}: ${message}` : message;
}
