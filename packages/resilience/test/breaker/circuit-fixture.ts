import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  createCircuitBreaker,
} from '@holdfast/resilience';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';

export const refused: Error = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

export function open(options: CircuitBreakerOptions = {}): {
  clock: FakeClock;
  breaker: CircuitBreaker;
} {
  const clock = createFakeClock();
  return { clock, breaker: createCircuitBreaker({ name: 'portal', ...options, clock }) };
}

export async function fail(
  breaker: CircuitBreaker,
  times = 1,
  error: unknown = refused,
): Promise<void> {
  for (let call = 0; call < times; call += 1) {
    await breaker.tryExecute(async () => {
      throw error;
    });
  }
}

export const succeed = (breaker: CircuitBreaker): Promise<unknown> =>
  breaker.tryExecute(async () => 'ok');

/** Work that settles when the test says so. */
export function held<T>(): {
  work: () => Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  return { work: () => promise, resolve, reject };
}
